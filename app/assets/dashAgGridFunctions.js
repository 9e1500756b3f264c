/* Functions that column definitions call by name. */
window.dashAgGridFunctions = window.dashAgGridFunctions || {};
/* A model's or dataset's name without folders and owner. */
window.dashAgGridFunctions.lastPart = (name) => String(name || "").split("/").pop();
