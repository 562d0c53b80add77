"use strict";
// The figures: each reads its controls, runs what they ask for, and replaces the data of its charts.

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { INKS, DASHES, figure, source } = charts;
  const { ndarray } = Bokeh.require("core/util/ndarray");
  const m = mathematics, [HIGH, LOW] = data.ends;
  const get = id => document.getElementById(id);
  const say = (id, text) => { get(id).textContent = text; };
  const number = value => value === 0 ? "0" : Math.abs(value) >= 0.01 && Math.abs(value) < 1000
    ? Number(value.toPrecision(3)).toString() : value.toExponential(2);
  const once = make => { let made; return (...of) => made ||= make(...of); };
  const memo = make => {
    const known = new Map();
    return (...of) => {
      const key = of.join("|");
      if (!known.has(key)) known.set(key, make(...of));
      return known.get(key);
    };
  };
  const palette = (ink, steps = 32) => Array.from({ length: steps }, (_, i) => {
    const [r, g, b] = [1, 3, 5].map(k => parseInt(ink.slice(k, k + 2), 16));
    return `rgba(${r},${g},${b},${(0.75 * i / (steps - 1)).toFixed(3)})`;
  });

  // The states that a line goes through: of several at one level the last, and no stage further on.
  const accepted = levels => levels.map((_, i) => i)
    .filter(i => !levels.slice(i + 1).some(later => later >= levels[i]));

  // Draw a figure when it comes near the screen, and again whenever one of its controls moves.
  function section(id, make) {
    const home = get(id);
    let update = null, queued = false;
    const refresh = () => {
      if (!update || queued) return;
      queued = true;
      requestAnimationFrame(() => { queued = false; update(); });
    };
    home.addEventListener("input", refresh);
    home.querySelector("form").addEventListener("submit", event => event.preventDefault());
    new IntersectionObserver((entries, watch) => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      watch.disconnect();
      update = make();
      update();
      home.dataset.drawn = "yes";
    }, { rootMargin: "300px" }).observe(home);
  }

  const show = (slider, text) => {
    const control = get(slider);
    say(`${slider}-shown`, text);
    control.setAttribute("aria-valuetext", text);
  };

  // A shaded square behind a figure's lines.
  function raster(fig, ink) {
    const shown = source({ image: [], x: [], y: [], dw: [], dh: [] });
    const color_mapper = new Bokeh.LinearColorMapper({ palette: palette(ink), low: 0, high: 1 });
    fig.image({ image: { field: "image" }, x: { field: "x" }, y: { field: "y" },
      dw: { field: "dw" }, dh: { field: "dh" }, source: shown, color_mapper, level: "underlay" });
    return (values, side, [x0, x1, y0, y1]) => {
      const most = values.reduce((a, b) => Math.max(a, b), 1e-300);
      const scaled = Float32Array.from(values, value => value / most);
      const grid = ndarray(scaled, { shape: [side, side], dtype: "float32" });
      shown.data = { image: [grid], x: [x0], y: [y0], dw: [x1 - x0], dh: [y1 - y0] };
    };
  }

  // 1. Samplers side by side --------------------------------------------------------------------
  const SCALES = {
    "variance exploding": () => 1,
    "variance preserving": sigma => 1 / Math.hypot(1, sigma),
    flow: sigma => 1 / (1 + sigma),
  };
  const plane = data.problems.plane, line = data.problems.line;
  const starts = once(() => m.normals(7).many(2 * 12).map(z => HIGH * z));
  const measured = once(() => m.normals(11).many(2 * 96).map(z => HIGH * z));
  const exact = once(() => m.path(plane, starts(), HIGH, LOW));
  const measuredEnds = once(() => m.path(plane, measured(), HIGH, LOW).states.at(-1));
  const draws = seed => { const random = m.normals(seed); return n => random.many(n); };

  const chosenPlan = (solver, grid, budget) => {
    const table = data.runs[solver][grid];
    const known = Object.keys(table).map(Number).filter(e => e <= budget);
    return known.length ? { calls: Math.max(...known), plan: table[Math.max(...known)] } : null;
  };
  const error = memo((solver, grid, calls) => {
    const states = m.run(data.runs[solver][grid][calls], plane, measured(), draws(3));
    return m.distance(states.at(-1), measuredEnds(), 2);
  });
  const errors = (solver, grid) => Object.keys(data.runs[solver][grid]).map(Number)
    .map(calls => [calls, error(solver, grid, calls)]);

  section("comparison", () => {
    const SIDE = 64;
    const panels = [1, 2, 3].map(k => {
      const { figure: fig, show: place } = figure(`#panel${k}`, {
        label: `trajectories of solver ${k} over the density of the data`, height: 320, title: " ",
        x_range: [-3, 3], y_range: [-3, 3], match_aspect: true,
      });
      const shade = raster(fig, INKS[3]);
      const truth = source({ xs: [], ys: [] }), own = source({ xs: [], ys: [] });
      const rings = source({ x: [], y: [] }), dots = source({ x: [], y: [] });
      fig.multi_line({ field: "xs" }, { field: "ys" }, { source: truth, line_color: "#8a9099", line_width: 1 });
      fig.multi_line({ field: "xs" }, { field: "ys" }, { source: own, line_color: INKS[k - 1], line_width: 1.6 });
      fig.scatter({ field: "x" }, { field: "y" }, { source: rings, size: 9, fill_color: null, line_color: "#8a9099", line_width: 2 });
      fig.scatter({ field: "x" }, { field: "y" }, { source: dots, size: 6, fill_color: INKS[k - 1], line_color: null });
      place();
      return { fig, shade, truth, own, rings, dots };
    });
    const { figure: fig, show: place } = figure("#work", {
      label: "error against evaluations of the three solvers", x_axis_type: "log", y_axis_type: "log",
      x_axis_label: "evaluations", y_axis_label: "distance to the exact ends",
    });
    fig.below[0].ticker = new Bokeh.FixedTicker({ ticks: [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000] });
    const curves = [1, 2, 3].map(k => {
      const curve = source({ x: [], y: [] }), here = source({ x: [], y: [] });
      fig.line({ field: "x" }, { field: "y" }, { source: curve, line_color: INKS[k - 1], line_width: 2, line_dash: DASHES[k - 1] });
      fig.scatter({ field: "x" }, { field: "y" }, { source: here, size: 11, fill_color: INKS[k - 1], line_color: null });
      return { curve, here };
    });
    place();

    return () => {
      const budget = data.evaluations[+get("evaluations").value], grid = get("grid").value;
      const scale = SCALES[get("scaling").value], share = +get("progress").value / 100;
      const stop = HIGH * (LOW / HIGH) ** share, truth = exact();
      const end = truth.at.findIndex(sigma => sigma <= stop * (1 + 1e-9));
      const last = end < 0 ? truth.at.length - 1 : end, level = truth.at[last];
      show("evaluations", String(budget));
      show("progress", `σ = ${number(level)}`);
      const reach = Math.max(3, 3 * Math.hypot(1.2, level) * scale(level));
      const box = [-reach, reach, -reach, reach], at = new Float64Array(2 * SIDE * SIDE);
      for (let row = 0; row < SIDE; row++)
        for (let column = 0; column < SIDE; column++) {
          at[2 * (row * SIDE + column)] = (-reach + 2 * reach * (column + 0.5) / SIDE) / scale(level);
          at[2 * (row * SIDE + column) + 1] = (-reach + 2 * reach * (row + 0.5) / SIDE) / scale(level);
        }
      const shade = m.density(plane, at, level);
      const tracks = (states, levels) => {
        const xs = [], ys = [];
        for (let i = 0; i < 12; i++) {
          xs.push(states.map((state, k) => state[2 * i] * scale(levels[k])));
          ys.push(states.map((state, k) => state[2 * i + 1] * scale(levels[k])));
        }
        return { xs, ys };
      };
      const widest = Math.max(3, 2.6 * HIGH * scale(HIGH));
      const words = [];
      panels.forEach((panel, k) => {
        const solver = get(`solver${k + 1}`).value, found = chosenPlan(solver, grid, budget);
        panel.shade(shade, SIDE, box);
        panel.truth.data = tracks(truth.states.slice(0, last + 1).filter((_, i) => i % 4 === 0 || i === last),
          truth.at.slice(0, last + 1).filter((_, i) => i % 4 === 0 || i === last));
        const ends = truth.states[last];
        const pick = (state, c, at) => Array.from({ length: 12 }, (_, i) => state[2 * i + c] * scale(at));
        panel.rings.data = { x: pick(ends, 0, level), y: pick(ends, 1, level) };
        const title = data.facts[solver].title;
        for (const range of [panel.fig.x_range, panel.fig.y_range]) { range.start = -widest; range.end = widest; }
        if (!found) {
          panel.own.data = { xs: [], ys: [] };
          panel.dots.data = { x: [], y: [] };
          curves[k].here.data = { x: [], y: [] };
          panel.fig.title.text = `${title}: needs ${data.facts[solver].calls} evaluations a step`;
          words.push(`${title} cannot run within ${budget}`);
        } else {
          const states = m.run(found.plan, plane, starts(), draws(5)), levels = found.plan.at;
          const kept = accepted(levels).filter(i => levels[i] >= stop * (1 - 1e-9));
          panel.own.data = tracks(kept.map(i => states[i]), kept.map(i => levels[i]));
          const tip = kept.at(-1);
          panel.dots.data = { x: pick(states[tip], 0, levels[tip]), y: pick(states[tip], 1, levels[tip]) };
          const off = error(solver, grid, found.calls);
          panel.fig.title.text = `${title}, ${found.calls} evaluation${found.calls > 1 ? "s" : ""}`;
          curves[k].here.data = { x: [found.calls], y: [off] };
          words.push(`${title}: error ${number(off)}${data.facts[solver].noise ? " (draws noise: its law counts, not its path)" : ""}`);
        }
        const listed = errors(solver, grid);
        curves[k].curve.data = { x: listed.map(p => p[0]), y: listed.map(p => p[1]) };
      });
      say("comparison-reading", words.join(". ") + ".");
    };
  });

  // 2. Order, felt ------------------------------------------------------------------------------
  section("order", () => {
    const equation = get("equation"), method = get("method"), toy = equation.options[0].value;
    const { figure: fig, show: place } = figure("#curve", {
      label: "the solver's values over the exact curve", x_axis_label: "time", y_axis_label: "y",
    });
    const truth = source({ x: [], y: [] }), own = source({ x: [], y: [] });
    fig.line({ field: "x" }, { field: "y" }, { source: truth, line_color: "#8a9099", line_width: 3 });
    fig.line({ field: "x" }, { field: "y" }, { source: own, line_color: INKS[1], line_width: 1.5 });
    fig.scatter({ field: "x" }, { field: "y" }, { source: own, size: 7, fill_color: INKS[1], line_color: null });
    place();
    const { figure: loglog, show: placeLog } = figure("#slope", {
      label: "error at the end against the step, with slopes 1 to 4", x_axis_type: "log", y_axis_type: "log",
      x_axis_label: "step h", y_axis_label: "error at the end",
    });
    const curve = source({ x: [], y: [] }), here = source({ x: [], y: [] });
    const slopes = [1, 2, 3, 4].map(p => {
      const guide = source({ x: [], y: [], text: [] });
      loglog.line({ field: "x" }, { field: "y" }, { source: guide, line_color: "#8a9099", line_dash: "dotted" });
      return guide;
    });
    loglog.line({ field: "x" }, { field: "y" }, { source: curve, line_color: INKS[1], line_width: 2 });
    loglog.scatter({ field: "x" }, { field: "y" }, { source: here, size: 11, fill_color: INKS[1], line_color: null });
    placeLog();

    const END = Object.values(data.plain)[0][1].at(-1)[0], Y0 = 2;
    const closed = t => 2 * Math.atan(Math.tan(Y0 / 2) * Math.exp(-t * t / 2));
    const start = Float64Array.of(4.0);
    const flow = once(() => m.path(line, start, HIGH, LOW, 2000));
    const plans = () => equation.value === toy ? data.plain[method.value]
      : data.runs[method.value]["uniform λ"];
    const run = n => {
      if (equation.value === toy) {
        const { t, y } = m.follow(plans()[n], (t, y) => -t * Math.sin(y), Y0);
        const kept = accepted(t.map(time => -time));
        return { t: kept.map(i => t[i]), y: kept.map(i => y[i]) };
      }
      const states = m.run(plans()[n], line, start, draws(1));
      const at = plans()[n].at, kept = accepted(at);
      return { t: kept.map(i => -Math.log(at[i])), y: kept.map(i => states[i][0] / Math.hypot(1, at[i])), end: states.at(-1)[0] };
    };
    const off = memo((_, __, n) => {
      const found = run(n);
      return equation.value === toy ? Math.abs(found.y.at(-1) - closed(END))
        : Math.abs(found.end - flow().states.at(-1)[0]);
    });
    const fill = () => {
      const names = equation.value === toy ? Object.keys(data.plain)
        : Object.keys(data.runs).filter(name => !data.facts[name].noise);
      const kept = names.includes(method.value) ? method.value : names[1];
      method.replaceChildren(...names.map(name => new Option(name, name, false, name === kept)));
    };
    equation.addEventListener("input", fill);
    fill();

    return () => {
      const all = Object.keys(plans()).map(Number).sort((a, b) => a - b), slider = get("steps");
      slider.max = all.length - 1;
      const n = all[Math.min(+slider.value, all.length - 1)];
      const calls = equation.value === toy ? 1 : data.facts[method.value].calls;
      const length = equation.value === toy ? END : Math.log(HIGH / LOW), h = n => length * calls / n;
      show("steps", `${n / calls}, h = ${number(h(n))}`);
      const found = run(n);
      own.data = { x: found.t, y: found.y };
      if (equation.value === toy) {
        const t = Array.from({ length: 200 }, (_, i) => END * i / 199);
        truth.data = { x: t, y: t.map(closed) };
      } else {
        const { at, states } = flow();
        truth.data = { x: at.map(s => -Math.log(s)), y: states.map((s, i) => s[0] / Math.hypot(1, at[i])) };
      }
      const points = all.map(k => [h(k), off(equation.value, method.value, k)]).filter(p => p[1] > 1e-13);
      curve.data = { x: points.map(p => p[0]), y: points.map(p => p[1]) };
      const mine = off(equation.value, method.value, n);
      here.data = { x: [h(n)], y: [mine] };
      const ends = [Math.min(...points.map(p => p[0])), Math.max(...points.map(p => p[0]))];
      slopes.forEach((guide, i) => {
        guide.data = { x: ends, y: ends.map(x => mine * (x / h(n)) ** (i + 1)), text: ["", ""] };
      });
      const tail = points.filter(p => p[1] > 1e-7).sort((a, b) => a[0] - b[0]);
      const slope = tail.length > 3 ? Math.log(tail[3][1] / tail[0][1]) / Math.log(tail[3][0] / tail[0][0]) : NaN;
      say("order-reading", `Error ${number(mine)} with ${n / calls} steps.`
        + (Number.isFinite(slope) ? ` On the finest grids the error falls as h to the ${slope.toFixed(2)}.` : "")
        + (equation.value !== toy && data.facts[method.value].order
          ? ` Proved order, with its own start and end: ${data.facts[method.value].orders.uniform[0]} on this grid.` : ""));
    };
  });

  // 3. Grids ------------------------------------------------------------------------------------
  section("grids", () => {
    const names = Object.keys(data.levels);
    const { figure: fig, show: place } = figure("#levels", {
      label: "noise levels of every grid", height: 360, x_axis_type: "log", x_range: [HIGH * 1.15, LOW / 1.15],
      y_range: [...names].reverse(), x_axis_label: "σ",
    });
    const dots = source({ x: [], y: [], colour: [] });
    fig.scatter({ field: "x" }, { field: "y" }, { source: dots, size: 9, marker: "dash", angle: Math.PI / 2, line_width: 2, line_color: { field: "colour" }, fill_color: null });
    fig.scatter({ field: "x" }, { field: "y" }, { source: dots, size: 5, fill_color: { field: "colour" }, line_color: null });
    place();
    const { figure: loglog, show: placeLog } = figure("#levels-error", {
      label: "error of the solver on every grid", y_axis_type: "log", legends: "below", height: 360,
      x_axis_label: "evaluations", y_axis_label: "distance to the exact ends",
    });
    const curves = names.map((name, k) => {
      const curve = source({ x: [], y: [] });
      loglog.line({ field: "x" }, { field: "y" }, { source: curve, line_color: INKS[k % INKS.length], line_width: 2, line_dash: DASHES[k % DASHES.length], legend_label: name });
      return curve;
    });
    const here = source({ x: [], y: [], colour: [] });
    loglog.scatter({ field: "x" }, { field: "y" }, { source: here, size: 9, fill_color: { field: "colour" }, line_color: null });
    placeLog();
    return () => {
      const solver = get("walker").value, budget = +get("budget").value, x = [], y = [], colour = [];
      show("budget", String(budget));
      const calls = data.facts[solver].calls, steps = Math.max(1, Math.floor(budget / calls));
      names.forEach((name, k) => {
        for (const level of data.levels[name][steps]) { x.push(level); y.push(name); colour.push(INKS[k % INKS.length]); }
        const listed = errors(solver, name).filter(p => p[0] >= 3 && p[0] <= 20);
        curves[k].data = { x: listed.map(p => p[0]), y: listed.map(p => p[1]) };
      });
      dots.data = { x, y, colour };
      const found = names.map((name, k) => [name, chosenPlan(solver, name, budget), k]).filter(f => f[1])
        .map(([name, one, k]) => [name, one.calls, error(solver, name, one.calls), k]);
      here.data = { x: found.map(f => f[1]), y: found.map(f => f[2]), colour: found.map(f => INKS[f[3] % INKS.length]) };
      found.sort((a, b) => a[2] - b[2]);
      say("grids-reading", found.length
        ? `Best at ${found[0][1]} evaluations: ${found[0][0]}, error ${number(found[0][2])}; worst: ${found.at(-1)[0]}, ${number(found.at(-1)[2])}.`
        : `${solver} needs ${calls} evaluations a step.`);
    };
  });

  // 4. Noise ------------------------------------------------------------------------------------
  section("noise", () => {
    const COUNT = 4000, BINS = 60, EDGE = 3;
    const { figure: fig, show: place } = figure("#paths", {
      label: "paths of one seed over λ", x_axis_label: "λ", y_axis_label: "x/√(1 + σ²)",
    });
    const drawn = source({ xs: [], ys: [] }), ode = source({ xs: [], ys: [] });
    fig.multi_line({ field: "xs" }, { field: "ys" }, { source: ode, line_color: "#8a9099", line_width: 1 });
    fig.multi_line({ field: "xs" }, { field: "ys" }, { source: drawn, line_color: INKS[1], line_width: 1.4 });
    place();
    const { figure: bars, show: placeBars } = figure("#law", {
      label: "histogram of the ends and the exact density", x_axis_label: "x at the end", y_axis_label: "density",
    });
    const histogram = source({ left: [], right: [], top: [] }), curve = source({ x: [], y: [] });
    bars.quad({ left: { field: "left" }, right: { field: "right" }, top: { field: "top" }, bottom: 0, source: histogram, fill_color: INKS[0], fill_alpha: 0.4, line_color: null });
    bars.line({ field: "x" }, { field: "y" }, { source: curve, line_color: INKS[1], line_width: 2 });
    placeBars();
    const x = Array.from({ length: 241 }, (_, i) => -EDGE + 2 * EDGE * i / 240);
    curve.data = { x, y: Array.from(m.density(line, Float64Array.from(x), LOW)) };
    return () => {
      const share = +get("strength").value, seed = +get("seed").value;
      const plan = data.strengths[get("family").value][get("length").value][share];
      show("strength", (share / 10).toFixed(1));
      show("seed", String(seed));
      const few = m.noisy(line, 8, HIGH, seed), at = plan.at, kept = accepted(at);
      const tracks = (states, levels) => ({
        xs: Array.from({ length: 8 }, () => levels.map(s => -Math.log(s))),
        ys: Array.from({ length: 8 }, (_, i) => states.map((state, k) => state[i] / Math.hypot(1, levels[k]))),
      });
      const states = m.run(plan, line, few, draws(100 + seed));
      drawn.data = tracks(kept.map(i => states[i]), kept.map(i => at[i]));
      const path = m.path(line, few, HIGH, LOW, 80);
      ode.data = tracks(path.states, path.at);
      const ends = m.run(plan, line, m.noisy(line, COUNT, HIGH, 50 + seed), draws(200 + seed)).at(-1);
      const counts = new Float64Array(BINS), width = 2 * EDGE / BINS;
      for (const value of ends) {
        const bin = Math.floor((value + EDGE) / width);
        if (bin >= 0 && bin < BINS) counts[bin]++;
      }
      const edges = Array.from({ length: BINS }, (_, i) => -EDGE + width * i);
      histogram.data = { left: edges, right: edges.map(e => e + width), top: Array.from(counts, c => c / COUNT / width) };
      const sorted = Float64Array.from(ends).sort();
      let apart = 0;
      sorted.forEach((value, i) => {
        const p = m.distribution(line, value, LOW);
        apart = Math.max(apart, Math.abs(p - i / COUNT), Math.abs(p - (i + 1) / COUNT));
      });
      say("noise-reading", `Kolmogorov-Smirnov distance of ${COUNT} ends to the exact law: ${apart.toFixed(4)}; `
        + `exact samples stay below ${(1.63 / Math.sqrt(COUNT)).toFixed(4)} in 99 of 100 cases.`);
    };
  });

  // 5. Distillation -----------------------------------------------------------------------------
  section("distillation", () => {
    const FIRST = 64, start = Float64Array.of(-9, -4.5, -1, 1.2, 3, 8);
    const { figure: fig, show: place } = figure("#halving", {
      label: "the student's jumps along its teacher's path, and DDIM in as few steps", legends: "below",
      x_axis_label: "λ", y_axis_label: "x/√(1 + σ²)",
    });
    const kinds = [["exact path", "#8a9099", "solid", 3], ["student", INKS[1], "solid", 2], ["DDIM", INKS[0], "dashed", 1.5]];
    const lines = kinds.map(([legend_label, line_color, line_dash, line_width]) => {
      const one = source({ xs: [], ys: [] });
      fig.multi_line({ field: "xs" }, { field: "ys" }, { source: one, line_color, line_dash, line_width, legend_label });
      return one;
    });
    place();
    const { figure: map, show: placeMap } = figure("#consistency", {
      label: "a point on its path and where the consistency map sends it", x_axis_label: "λ", y_axis_label: "x/√(1 + σ²)",
    });
    const path = source({ xs: [], ys: [] }), arrows = source({ xs: [], ys: [] }), points = source({ x: [], y: [] });
    map.multi_line({ field: "xs" }, { field: "ys" }, { source: path, line_color: "#8a9099", line_width: 2 });
    map.multi_line({ field: "xs" }, { field: "ys" }, { source: arrows, line_color: INKS[2], line_width: 1.4, line_dash: "dashed" });
    map.scatter({ field: "x" }, { field: "y" }, { source: points, size: 9, fill_color: INKS[2], line_color: null });
    placeMap();
    const truth = once(() => m.path(line, start, HIGH, LOW, 400));
    const run = memo(steps => m.run(data.halving[steps], line, start, draws(1)));
    const tracks = (states, levels) => ({
      xs: Array.from(start, () => levels.map(s => -Math.log(s))),
      ys: Array.from(start, (_, i) => states.map((state, k) => state[i] / Math.hypot(1, levels[k]))),
    });
    return () => {
      const rounds = +get("rounds").value, steps = FIRST / 2 ** rounds, share = +get("level").value / 100;
      show("rounds", `${rounds}: ${steps} step${steps > 1 ? "s" : ""}`);
      const { states, at } = truth(), teacher = run(FIRST), levels = data.halving[FIRST].at;
      const kept = levels.map((_, i) => i).filter(i => i % (FIRST / steps) === 0);
      lines[0].data = tracks(states, at);
      lines[1].data = tracks(kept.map(i => teacher[i]), kept.map(i => levels[i]));
      lines[2].data = tracks(run(steps), data.halving[steps].at);
      const k = Math.round(share * (at.length - 1)), sigma = at[k], end = states.at(-1);
      show("level", `σ = ${number(sigma)}`);
      path.data = tracks(states, at);
      const here = Array.from(start, (_, i) => states[k][i] / Math.hypot(1, sigma));
      const there = Array.from(start, (_, i) => end[i] / Math.hypot(1, LOW));
      arrows.data = { xs: Array.from(start, () => [-Math.log(sigma), -Math.log(LOW)]), ys: here.map((y, i) => [y, there[i]]) };
      points.data = { x: [...start].flatMap(() => [-Math.log(sigma), -Math.log(LOW)]), y: here.flatMap((y, i) => [y, there[i]]) };
      say("distillation-reading", `After ${rounds} rounds: ${steps} step${steps > 1 ? "s" : ""} a sample. `
        + `Error of the perfect student ${number(m.distance(teacher.at(-1), end, 1))} (its first teacher's), `
        + `of DDIM in as many steps ${number(m.distance(run(steps).at(-1), end, 1))}.`);
    };
  });

  // 6. Stability --------------------------------------------------------------------------------
  section("stability", () => {
    const SIDE = 90;
    const { figure: fig, show: place } = figure("#region", {
      label: "stability region or order star in the complex plane", height: 340, match_aspect: true,
      x_axis_label: "Re z", y_axis_label: "Im z", x_range: [-4, 2], y_range: [-3, 3],
    });
    const shade = raster(fig, INKS[0]);
    fig.line([-50, 50], [0, 0], { line_color: "#8a9099", line_width: 0.8 });
    fig.line([0, 0], [-50, 50], { line_color: "#8a9099", line_width: 0.8 });
    place();
    const wordsRange = new Bokeh.FactorRange({ factors: [" "] });
    const { figure: bars, show: placeBars } = figure("#words", {
      label: "leading error by elementary differential", y_range: wordsRange, height: 340,
      x_axis_label: "coefficient of the leading local error, uniform grid",
    });
    const parts = source({ y: [], right: [] });
    bars.hbar({ y: { field: "y" }, right: { field: "right" }, height: 0.6, source: parts, fill_color: INKS[1], line_color: null });
    placeBars();
    const fraction = text => {
      const [top, bottom] = String(text).split("/").map(Number);
      return bottom ? top / bottom : top;
    };
    const interval = memo(solver => {
      let x = 0;
      while (x < 60 && m.radius(data.polynomials[solver], -(x + 0.01), 0) <= 1 + 1e-7) x += 0.01;
      return x;
    });
    return () => {
      const solver = get("region-solver").value, star = get("view").value === "order star";
      const width = +get("reach").value, box = star ? [-width / 2, width / 2, -width / 2, width / 2]
        : [-0.75 * width, 0.25 * width, -width / 2, width / 2];
      show("reach", String(width));
      const values = new Float64Array(SIDE * SIDE);
      for (let row = 0; row < SIDE; row++)
        for (let column = 0; column < SIDE; column++) {
          const re = box[0] + width * (column + 0.5) / SIDE, im = box[2] + width * (row + 0.5) / SIDE;
          const growth = m.radius(data.polynomials[solver], re, im);
          values[row * SIDE + column] = star ? +(growth > Math.exp(re)) : +(growth <= 1 + 1e-9);
        }
      shade(values, SIDE, box);
      [fig.x_range.start, fig.x_range.end, fig.y_range.start, fig.y_range.end] = box;
      const listed = (data.facts[solver]?.error || []).map(([word, coefficient]) => [word, fraction(coefficient)])
        .filter(part => Number.isFinite(part[1]));
      wordsRange.factors = listed.length ? listed.map(part => part[0]).reverse() : [" "];
      parts.data = { y: listed.map(part => part[0]), right: listed.map(part => part[1]) };
      const reach = interval(solver);
      say("stability-reading", `${data.facts[solver].title}: stable on the negative real axis `
        + `${reach >= 59.9 ? "as far as was looked" : `to −${reach.toFixed(2)}`}`
        + (data.facts[solver].order ? `; order ${data.facts[solver].orders.uniform[0]} on uniform grids.` : "."));
    };
  });
})();
