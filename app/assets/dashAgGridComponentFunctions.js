/* Cell renderers. React renders values as text, never as markup. */
window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
/* A row's image, from the row number or a full URL. */
window.dashAgGridComponentFunctions.Thumbnail = function (props) {
  const address = String(props.base || "") + String(props.value ?? "");
  if (!/^\/view\/.*\d$/.test(address) || (props.value ?? "") === "") return "";
  const alt = String((props.data && props.data[props.alt]) || "image of row " + address.split("/").pop());
  const hide = (event) => { event.target.hidden = true; }; // the row has no image
  return React.createElement("img", { src: address, alt: alt, title: alt, loading: "lazy", className: "thumbnail", onError: hide });
};
/* The name of a feature, with its number small beside it (app/shared/parts/names.py). base: URL before the number. */
window.dashAgGridComponentFunctions.FeatureName = function (props) {
  const row = props.data || {};
  if (!props.value) return "";
  const link = window.dashAgGridComponentFunctions.PageLink({ value: props.value, data: { href: props.base ? props.base + row.latent : row.href }, href: "href" });
  const name = typeof link === "string" ? React.createElement("span", {}, link) : link;
  const small = (text) => (text ? React.createElement("small", {}, " " + text) : null);
  const kinds = "feature-name" + (row.doubtful ? " doubtful" : "");
  return React.createElement("span", { className: kinds }, name, small(row.beside));
};
window.dashAgGridComponentFunctions.PageLink = function (props) {
  const href = props.base ? props.base + props.value : props.data && props.data[props.href];
  if (href && href.startsWith("https://www.neuronpedia.org/"))
    return React.createElement("a", { href: href, target: "_blank", rel: "noopener noreferrer" }, String(props.value ?? ""));
  if (!href || !href.startsWith("/")) return String(props.value ?? "");
  return React.createElement(window.dash_core_components.Link, { href: href }, String(props.value ?? ""));
};
