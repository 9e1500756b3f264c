/* Client-side callbacks: permalinks, exports, colours, navigation. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.saefari = {
  /* Write the controls' values to the URL without reloading the page. While it starts, Dash's router restores the
     original URL, so the first write is delayed. */
  rememberState(values, ids) {
    const app = window.dash_clientside.saefari;
    const opened = window.location.href;
    if (opened !== app.written) {
      app.given = new Set(new URLSearchParams(window.location.search).keys());
      app.defaults = {};
      app.written = opened;
    }
    ids.forEach((id, i) => {
      if (!app.given.has(id.name) && !(id.name in app.defaults)) app.defaults[id.name] = JSON.stringify(values[i]);
    });
    const write = () => window.location.href === opened && app.writeState(values, ids);
    setTimeout(write, app.started ? 0 : 400);
    app.started = true;
    return window.dash_clientside.no_update;
  },
  /* Always in the URL, even if the page chose the default, which may change later. */
  alwaysWritten: ["run", "classifier", "sae", "codes", "latent", "row"],
  writeState(values, ids) {
    const app = window.dash_clientside.saefari;
    const query = new URLSearchParams(window.location.search);
    ids.forEach((id, i) => {
      const isDefault = app.defaults[id.name] === JSON.stringify(values[i]) && !app.alwaysWritten.includes(id.name);
      const texts = isDefault ? [] : [values[i]].flat().filter((one) => one !== null && one !== undefined && one !== "").map(String);
      if (JSON.stringify(query.getAll(id.name)) === JSON.stringify(texts)) return; // unchanged: keep its position
      query.delete(id.name);
      texts.forEach((one) => query.append(id.name, one));
    });
    const text = query.toString();
    window.history.replaceState(window.history.state, "", window.location.pathname + (text ? "?" + text : ""));
    app.written = window.location.href;
  },
  /* Pass a value on after the page's figures are drawn, or after three seconds, so that later parts do not delay them. */
  async afterFiguresDrawn(value) {
    const latest = performance.now() + 3000;
    const pause = () => new Promise((done) => setTimeout(done, 50));
    do await pause();
    while (document.querySelector(".figure:not(:has(.main-svg))") && performance.now() < latest);
    await pause(); // let the browser paint
    return value;
  },
  /* Show the name and size of the chosen image. */
  nameImage(contents, name) {
    if (!contents) return ["No image chosen yet.", window.dash_clientside.no_update];
    const bytes = Math.floor((contents.length - contents.indexOf(",") - 1) * 3 / 4);
    const size = bytes < 1e6 ? Math.ceil(bytes / 1e3) + " kB" : (bytes / 1e6).toFixed(1) + " MB";
    return ["Chosen: " + name + " (" + size + ")", ""];
  },
  /* Send the chosen image to be classified. */
  submitImage(clicks, contents, name, text) {
    const same = window.dash_clientside.no_update;
    if (!clicks) return [same, same];
    if (!contents) return [same, "Choose an image first."];
    return [{ image: contents, name: name, text: text, clicks: clicks }, ""];
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
  /* Open Compare with the selected rows of the table of runs. */
  compareSelected(clicks, rows) {
    const picked = (rows || []).filter((row) => row.run);
    if (!picked.length) return window.dash_clientside.no_update;
    const query = new URLSearchParams();
    picked.forEach((row) => query.append("pick", row.run + "." + row.classifier));
    return "/compare?" + query.toString();
  },
  /* Select a sample by a table row, a point of the map, or the previous/next button. Clears the map's click, so that
     a second click on the same point works, and the token of the previous sample. */
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
    if (row === undefined || row === null || String(row) === shown) return [same, same, same, null, same];
    if (from.includes("selectedRows")) return [String(row), same, same, null, null];
    return [String(row), { ids: [String(row)] }, { rowId: String(row), rowPosition: "middle" }, null, null];
  },
  /* Open the latent with the entered number, or another SAE. */
  openLatent(clicks, submits, sae, number, shown) {
    const triggered = window.dash_clientside.callback_context.triggered.map((t) => t.prop_id);
    const query = new URLSearchParams();
    if (triggered.includes("latent-sae.value") && sae && (!shown || sae !== shown.sae)) query.set("sae", sae);
    else if (shown && (clicks || submits) && number !== "" && number !== shown.latent) {
      query.set("sae", shown.sae);
      query.set("latent", number);
      const codes = new URLSearchParams(window.location.search).get("codes");
      if (codes) query.set("codes", codes);
    }
    return query.size ? "/latent?" + query.toString() : window.dash_clientside.no_update;
  },
  /* Open another SAE's latents. */
  openLatents(sae, shown) {
    return sae && sae !== shown ? "/latents?sae=" + encodeURIComponent(sae) : window.dash_clientside.no_update;
  },
  /* The column that a table is sorted by, as `density:desc`. */
  sortAsText(columns, now) {
    const sorted = (columns || []).filter((one) => one.sort).sort((a, b) => a.sortIndex - b.sortIndex)[0];
    return sorted ? sorted.colId + ":" + sorted.sort : now;
  },
  /* Reload a server-side table after a control outside of it has changed. */
  reloadTable(...values) {
    const table = window.dash_ag_grid.getApi(values[values.length - 1]);
    if (table) table.purgeInfiniteCache();
    return window.dash_clientside.no_update;
  },
  toggleColours(clicks, scheme) {
    return scheme === "dark" ? "light" : "dark";
  },
  applyColours(scheme) {
    document.body.dataset.agThemeMode = scheme === "dark" ? "dark" : "light";
    return scheme || "light";
  },
  toggleMenu(opened, pathname, navbar) {
    const clicked = window.dash_clientside.callback_context.triggered.some((t) => t.prop_id === "menu.opened");
    return { ...navbar, collapsed: { mobile: !(clicked && opened) } };
  },
};
/* The skip link only moves the focus; following `#content` would make the router rebuild the page. */
document.addEventListener("click", (event) => {
  if (!event.target.closest(".skip-link")) return;
  event.preventDefault();
  document.getElementById("content").focus();
});
/* A click on a token of a sample selects it. */
document.addEventListener("click", (event) => {
  const token = event.target.closest("[data-token]");
  if (!token) return;
  window.dash_clientside.set_props({ type: "state", name: "token" }, { value: token.dataset.token });
  if (token === document.activeElement) keepFocus(token);
});
/* Restore the keyboard focus after the row is redrawn with the selected token, unless the focus has moved. */
async function keepFocus(token) {
  const latest = performance.now() + 5000;
  while (performance.now() < latest) {
    await new Promise((done) => setTimeout(done, 50));
    const drawn = document.querySelector(`button[data-token="${token.dataset.token}"][aria-current]`);
    if (document.activeElement === document.body) drawn?.focus({ preventScroll: true });
    else if (document.activeElement !== token && document.activeElement !== drawn) return;
  }
}
/* Mark images that are enlarged, so that small ones are scaled without smoothing. */
document.addEventListener("load", (event) => {
  const image = event.target;
  if (image.tagName === "IMG") image.toggleAttribute("data-enlarged", image.naturalWidth < image.clientWidth || image.naturalHeight < image.clientHeight);
}, true);
/* Arrow keys move between the patches of an image; Tab reaches one patch (roving tabindex). */
document.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const patch = event.target.closest?.(".patch[data-cell]");
  if (!patch || !steps[event.key]) return;
  event.preventDefault();
  const columns = getComputedStyle(patch.parentElement).gridTemplateColumns.split(" ").length;
  const cell = Number(patch.dataset.cell);
  const [down, right] = steps[event.key];
  const column = (cell % columns) + right;
  if (column < 0 || column >= columns) return;
  const next = patch.parentElement.querySelector(`[data-cell="${cell + down * columns + right}"]`);
  if (!next) return;
  patch.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
/* Reject several files, or a file that is too large, before it is read. */
for (const kind of ["change", "drop"]) document.addEventListener(kind, (event) => {
  const holder = event.target.closest?.("[data-most-bytes]");
  const files = holder && (event.dataTransfer || event.target).files;
  if (!files || !files.length) return;
  const most = Number(holder.dataset.mostBytes);
  let problem = "";
  if (files.length > 1) problem = "Choose one image at a time, not " + files.length + " files.";
  else if (files[0].size > most) problem = "The file has " + (files[0].size / 2 ** 20).toFixed(1) + " MB; at most " + most / 2 ** 20 + " MB are accepted.";
  window.dash_clientside.set_props("try-image-problem", { data: problem });
  if (!problem) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (kind === "change") event.target.value = "";
}, true);
