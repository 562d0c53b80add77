"use strict";
// Charts in one look, by BokehJS: colours follow the page's, also when the reader switches to dark.

const charts = (() => {
  const INKS = ["#2f6fc4", "#c2542d", "#2f8f5b", "#8a5aa8", "#a37a1c", "#3c868f", "#7a7f87"];
  const DASHES = ["solid", "dashed", "dotted", "dotdash", "dashdot", [2, 2], [8, 3]];
  const drawn = [];

  Bokeh.set_log_level("error");

  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const isLegend = part => "label_text_color" in part;

  function dressed({ figure, legends }) {
    const ink = colour("--ink"), line = colour("--line"), paper = colour("--paper");
    if (legends === "below")
      for (const legend of figure.center.filter(isLegend)) {
        figure.center = figure.center.filter(part => part !== legend);
        Object.assign(legend, { ncols: 2, border_line_alpha: 0, padding: 2, spacing: 10, location: "left", label_text_font_size: "12px" });
        figure.add_layout(legend, "below");
      }
    figure.background_fill_color = paper;
    figure.border_fill_color = paper;
    figure.outline_line_color = line;
    if (figure.title) figure.title.text_color = ink;
    for (const axis of [...figure.below, ...figure.left].filter(part => !isLegend(part))) {
      axis.axis_label_text_color = ink;
      axis.major_label_text_color = ink;
      axis.axis_line_color = line;
      axis.major_tick_line_color = line;
      axis.minor_tick_line_color = null;
    }
    for (const bar of figure.right.filter(part => "color_mapper" in part)) {
      bar.background_fill_color = paper;
      bar.title_text_color = ink;
      bar.major_label_text_color = ink;
      bar.major_tick_line_color = line;
    }
    for (const grid of figure.center) if ("grid_line_color" in grid) grid.grid_line_color = line;
    for (const legend of [...figure.center, ...figure.below].filter(isLegend)) {
      if (legends !== "below") legend.location = legends;
      legend.background_fill_color = paper;
      legend.background_fill_alpha = 0.8;
      legend.label_text_color = ink;
      legend.border_line_color = line;
    }
    return figure;
  }

  // A figure in a place of the page. Options are Bokeh's, and `label` for readers who don't see it;
  // `legends` is a corner, or "below" for one under the axis.
  function figure(place, { label, legends = "top_right", ...options }) {
    const made = Bokeh.Plotting.figure({
      height: 300, sizing_mode: "stretch_width", tools: [], toolbar_location: null, ...options,
    });
    made.toolbar.active_drag = null;
    const element = typeof place === "string" ? document.querySelector(place) : place;
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", label);
    const one = { figure: made, legends };
    drawn.push(one);
    return { figure: made, show: () => Bokeh.Plotting.show(dressed(one), element) };
  }

  const source = data => new Bokeh.ColumnDataSource({ data });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(dressed));
  return { INKS, DASHES, figure, source, colour };
})();
