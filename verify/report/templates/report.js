"use strict";
// The charts of a report, each drawn when it comes near the screen.

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { INKS, DASHES, figure, source } = charts;
  const GREY = "#8a9099";
  const xy = points => ({ x: points.map(p => p[0]), y: points.map(p => p[1]) });
  const line = (fig, points, style) => fig.line({ field: "x" }, { field: "y" }, { source: source(xy(points)), ...style });
  const dots = (fig, points, ink) => fig.scatter({ field: "x" }, { field: "y" }, { source: source(xy(points)), size: 6, fill_color: ink, line_color: null });

  const curves = (fig, named) => Object.entries(named).forEach(([name, points], k) => {
    const ink = INKS[k % INKS.length];
    line(fig, points, { line_color: ink, line_width: 2, line_dash: DASHES[k % DASHES.length], legend_label: name });
    dots(fig, points, ink);
  });

  const KINDS = {
    convergence(place, { curves: named, window, floor, order }) {
      const points = Object.values(named).flat();
      const xs = points.map(p => p[0]), ys = points.map(p => p[1]);
      const left = Math.min(...xs), right = Math.max(...xs), low = Math.min(...ys) / 3, high = 3 * Math.max(...ys);
      const { figure: fig, show } = figure(place, {
        label: "error against number of steps", x_axis_type: "log", y_axis_type: "log",
        x_axis_label: "steps N", y_axis_label: "RMS error", y_range: [low, high],
        legends: "bottom_left",
      });
      if (window) fig.quad({ left: window[0], right: window[1], bottom: low, top: high, fill_color: INKS[2], fill_alpha: 0.1, line_color: null });
      if (floor > low) line(fig, [[left, floor], [right, floor]], { line_color: INKS[1], line_dash: "dashed", legend_label: "rounding" });
      for (const p of new Set([Math.max(1, order - 1), order, order + 1]))
        line(fig, [[left, high / 2], [right, high / 2 * (left / right) ** p]], { line_color: GREY, line_dash: "dotted", legend_label: `h^${p}` });
      curves(fig, named);
      return show;
    },
    work(place, { curves: named }) {
      const { figure: fig, show } = figure(place, {
        label: "error against evaluations", y_axis_type: "log", x_axis_label: "evaluations", y_axis_label: "RMS error",
      });
      curves(fig, named);
      return show;
    },
    trajectories(place, { lam, x, density }) {
      const reach = Math.max(...x.flat().map(Math.abs));
      const { figure: fig, show } = figure(place, {
        label: "trajectories over the mixture", x_axis_label: "λ = log(α/σ)", y_axis_label: "x",
        x_range: [lam[0], lam.at(-1)], y_range: [-reach, reach],
      });
      image(fig, density.map(column => column.map(value => 0.5 * value ** 0.6)), [lam[0], lam.at(-1), -reach, reach]);
      x.forEach((row, k) => line(fig, row.map((value, i) => [lam[i], value]), { line_color: INKS[1], line_width: 1.2 }));
      return show;
    },
    stability(place, { box, stable }) {
      const [x0, x1, y0, y1] = box;
      const { figure: fig, show } = figure(place, {
        label: "stability region", x_axis_label: "Re z", y_axis_label: "Im z", x_range: [x0, x1], y_range: [y0, y1],
      });
      image(fig, stable[0].map((_, j) => stable.map(row => 0.45 * row[j])), box);
      line(fig, [[x0, 0], [x1, 0]], { line_color: GREY, line_width: 0.7 });
      line(fig, [[0, y0], [0, y1]], { line_color: GREY, line_width: 0.7 });
      return show;
    },
  };

  // Columns of values from 0 to 1 as a shade behind the lines.
  function image(fig, columns, [x0, x1, y0, y1]) {
    const { ndarray } = Bokeh.require("core/util/ndarray");
    const rows = columns[0].length, values = new Float32Array(rows * columns.length);
    columns.forEach((column, i) => column.forEach((value, j) => { values[j * columns.length + i] = value; }));
    const palette = Array.from({ length: 64 }, (_, i) => `rgba(47,111,196,${(i / 63).toFixed(3)})`);
    fig.image({ image: { field: "image" }, x: x0, y: y0, dw: x1 - x0, dh: y1 - y0, level: "underlay",
      source: source({ image: [ndarray(values, { shape: [rows, columns.length], dtype: "float32" })] }),
      color_mapper: new Bokeh.LinearColorMapper({ palette, low: 0, high: 1 }) });
  }

  const watch = new IntersectionObserver(entries => entries.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting) return;
    watch.unobserve(target);
    const { verdict, kind } = target.dataset;
    KINDS[kind](target, data[verdict][kind])();
    target.dataset.drawn = "yes";
  }), { rootMargin: "400px" });
  document.querySelectorAll(".chart").forEach(place => watch.observe(place));
})();
