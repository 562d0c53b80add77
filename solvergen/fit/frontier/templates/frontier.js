"use strict";
// Error against model calls: every pair in grey, the front of the published ones, and the tables.

JSON.parse(document.getElementById("data").textContent).forEach((one, index) => {
  const tools = [new Bokeh.HoverTool({ tooltips: "@name: @error, @calls calls" })];
  const { figure, show } = charts.figure(`#chart${index}`, {
    label: "Error against model calls", height: 380, y_axis_type: "log", tools,
    x_axis_label: "model calls", y_axis_label: "rms error of the end",
  });
  const at = { x: { field: "calls" }, y: { field: "error" } };
  figure.scatter({ ...at, source: charts.source(one.cloud), size: 4, color: "#8a8f96",
    fill_alpha: 0.3, line_alpha: 0.3, legend_label: "published pairs" });
  figure.line({ ...at, source: charts.source(one.front), line_width: 2, color: charts.INKS[0],
    legend_label: "front of published pairs" });
  figure.scatter({ ...at, source: charts.source(one.front), size: 7, color: charts.INKS[0] });
  const kinds = { family: "fitted tables", calibrated: "calibrated tables" };
  Object.entries(kinds).forEach(([kind, label], k) => {
    if (one.tables[kind].calls.length === 0) return;
    figure.scatter({ ...at, source: charts.source(one.tables[kind]), size: 11, marker: k ? "star" : "diamond",
      color: charts.INKS[k + 1], legend_label: label });
  });
  show();
});
