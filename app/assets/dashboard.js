/* What has to happen in the browser: permalinks, exports, colours. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.saefari = {
  /* Write every control's value to the URL, without leaving or reloading the page. */
  rememberState(values, ids) {
    const query = new URLSearchParams(window.location.search);
    ids.forEach((id, i) => {
      const value = values[i];
      query.delete(id.name);
      if (Array.isArray(value)) value.forEach((one) => query.append(id.name, one));
      else if (value !== null && value !== undefined && value !== "") query.set(id.name, value);
    });
    const text = query.toString();
    window.history.replaceState(window.history.state, "", window.location.pathname + (text ? "?" + text : ""));
    return window.dash_clientside.no_update;
  },
  exportCsv(clicks) {
    return Boolean(clicks);
  },
  downloadSvg(clicks, id) {
    const holder = document.getElementById(JSON.stringify({ name: id.name, type: "graph" }));
    const plot = holder && holder.querySelector(".js-plotly-plot");
    if (plot) window.Plotly.downloadImage(plot, { format: "svg", filename: "saefari-" + id.name });
    return window.dash_clientside.no_update;
  },
  filtersAsText(model) {
    return model && Object.keys(model).length ? JSON.stringify(model) : "";
  },
  /* Open Compare with the rows that are ticked in the table of runs. */
  compareSelected(clicks, rows) {
    const picked = (rows || []).filter((row) => row.run);
    if (!picked.length) return window.dash_clientside.no_update;
    const query = new URLSearchParams();
    picked.forEach((row) => query.append("pick", row.run + "." + row.classifier));
    return "/compare?" + query.toString();
  },
  /* The sample that a table's row, a point of the map or a step to the neighbour in the table picks. The click is
     forgotten, so that a second one on the same point counts. */
  pickSample(selected, clicked, previous, next, listed, shown) {
    const same = window.dash_clientside.no_update;
    const from = window.dash_clientside.callback_context.triggered.map((t) => t.prop_id).join(" ");
    let row;
    if (from.includes("clickData")) row = clicked && clicked.points[0].customdata;
    else if (from.includes("selectedRows")) row = Array.isArray(selected) && selected.length ? selected[0].row : undefined;
    else {
      const rows = (listed || []).map((one) => one.row);
      const at = rows.indexOf(Number(shown));
      row = rows[Math.max(0, Math.min(rows.length - 1, at + (from.includes("samples-next") ? 1 : -1)))];
    }
    if (row === undefined || row === null || String(row) === shown) return [same, same, same, null];
    if (from.includes("selectedRows")) return [String(row), same, same, null];
    return [String(row), { ids: [String(row)] }, { rowId: String(row), rowPosition: "middle" }, null];
  },
  toggleColours(clicks, scheme) {
    return scheme === "dark" ? "light" : "dark";
  },
  applyColours(scheme) {
    document.body.dataset.agThemeMode = scheme === "dark" ? "dark" : "light";
    return scheme || "light";
  },
  toggleMenu(opened, pathname, navbar) {
    const asked = window.dash_clientside.callback_context.triggered.some((t) => t.prop_id === "menu.opened");
    return { ...navbar, collapsed: { mobile: !(asked && opened) } };
  },
};
