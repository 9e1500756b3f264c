/* Cell renderers. React puts what it is given on the page as text, never as markup. */
window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
window.dashAgGridComponentFunctions.PageLink = function (props) {
  const href = props.base ? props.base + props.value : props.data && props.data[props.href];
  if (!href || !href.startsWith("/")) return String(props.value ?? "");
  return React.createElement(window.dash_core_components.Link, { href: href }, String(props.value ?? ""));
};
