"use strict";
// The error over the plane of starts, and pictures that a student made.

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { figure, source } = charts;
  const { ndarray } = Bokeh.require("core/util/ndarray");
  // log10 of the error over sd at the ends of the colour scale, and its colours: both pages show them.
  const SCALE = [-3.5, 0], STOPS = ["#3d6fb6", "#5fa8a3", "#d9b23c", "#e07b39", "#c2336b"];

  function shades(count) {
    const parts = STOPS.map(ink => [1, 3, 5].map(k => parseInt(ink.slice(k, k + 2), 16)));
    return Array.from({ length: count }, (_, i) => {
      const at = i / (count - 1) * (parts.length - 1), k = Math.min(Math.floor(at), parts.length - 2);
      const mixed = parts[k].map((value, c) => Math.round(value + (at - k) * (parts[k + 1][c] - value)));
      return "#" + mixed.map(value => value.toString(16).padStart(2, "0")).join("");
    });
  }

  const KINDS = {
    plane(place, { x, y, power }) {
      const reach = 1.05 * Math.max(...x.map(Math.abs), ...y.map(Math.abs));
      const { figure: fig, show } = figure(place, {
        label: "error of the map over the plane of starts", height: 480, match_aspect: true,
        x_range: [-reach, reach], y_range: [-reach, reach], x_axis_label: "x₁", y_axis_label: "x₂",
      });
      const mapper = new Bokeh.LinearColorMapper({ palette: shades(64), low: SCALE[0], high: SCALE[1] });
      fig.scatter({ field: "x" }, { field: "y" }, {
        source: source({ x, y, power }), size: 6, line_color: null,
        fill_color: { field: "power", transform: mapper },
      });
      fig.add_layout(new Bokeh.ColorBar({
        color_mapper: mapper, width: 10, title: "error", ticker: new Bokeh.FixedTicker({ ticks: [-3, -2, -1, 0] }),
        major_label_overrides: new Map([[-3, "0.1%"], [-2, "1%"], [-1, "10%"], [0, "100%"]]),
      }), "right");
      return show;
    },
    pictures(place, { rows, wide, high }) {
      const { figure: fig, show } = figure(place, {
        label: "pictures that the map made", height: Math.max(120, Math.round(480 * high / wide)),
        x_range: [0, wide], y_range: [0, high],
      });
      for (const axis of [...fig.below, ...fig.left]) axis.visible = false;
      for (const grid of fig.center) grid.visible = false;
      const palette = Array.from({ length: 64 }, (_, i) => { const v = Math.round(255 * (1 - i / 63)); return `rgb(${v},${v},${v})`; });
      const values = Float32Array.from(rows.flat());
      fig.image({
        image: { field: "image" }, x: 0, y: 0, dw: wide, dh: high,
        source: source({ image: [ndarray(values, { shape: [high, wide], dtype: "float32" })] }),
        color_mapper: new Bokeh.LinearColorMapper({ palette, low: 0, high: 1 }),
      });
      return show;
    },
  };

  const watch = new IntersectionObserver(entries => entries.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting) return;
    watch.unobserve(target);
    const { kind, ...drawing } = data[target.dataset.examination][target.dataset.chart];
    KINDS[kind](target, drawing)();
    target.dataset.drawn = "yes";
  }), { rootMargin: "400px" });
  document.querySelectorAll(".chart").forEach(place => watch.observe(place));
})();
