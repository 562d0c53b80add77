"use strict";
// Cards are sifted by the form; the chart of a card is drawn when it comes near the screen.

(() => {
  const { reference, scale } = JSON.parse(document.getElementById("data").textContent);
  const form = document.querySelector("form"), cards = [...document.querySelectorAll("article")];
  const shown = document.querySelector("#shown");

  function sift() {
    const words = form.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const card of cards) {
      const d = card.dataset;
      const keep = words.every(word => d.text.includes(word))
        && ["family", "integrand", "order", "calls"].every(k => !form[k].value || form[k].value === d[k])
        && (!form.short.checked || d.short === "yes");
      card.hidden = !keep;
      count += keep;
    }
    shown.textContent = `${count} of ${cards.length}`;
  }
  form.addEventListener("input", sift);
  form.addEventListener("submit", event => event.preventDefault());
  sift();

  function draw(place) {
    const curve = JSON.parse(place.dataset.curve);
    const { figure, show } = charts.figure(place, {
      label: "error against evaluations", height: 170, x_axis_type: "log", y_axis_type: "log",
      x_range: [4, 128], y_range: [scale[0] / 2, 2 * scale[1]], x_axis_label: "evaluations", y_axis_label: "error",
    });
    const line = (points, ink, width) => {
      const source = charts.source({ x: points.map(p => p[0]), y: points.map(p => Math.max(p[1], scale[0] / 2)) });
      figure.line({ field: "x" }, { field: "y" }, { source, line_color: ink, line_width: width });
      return source;
    };
    if (reference.length) line(reference, "#8a9099", 1.2);
    const source = line(curve, charts.INKS[0], 2);
    figure.scatter({ field: "x" }, { field: "y" }, { source, size: 6, fill_color: charts.INKS[0], line_color: null });
    show();
    place.dataset.drawn = "yes";
  }
  const watch = new IntersectionObserver(entries => entries.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting) return;
    watch.unobserve(target);
    draw(target);
  }), { rootMargin: "300px" });
  document.querySelectorAll(".chart").forEach(place => watch.observe(place));
})();
