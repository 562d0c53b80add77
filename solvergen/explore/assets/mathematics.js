"use strict";
// Exact mixtures, exact paths and runs of plans. States are flat arrays, one point after the other.

const mathematics = (() => {
  // E[x0 | x] of an isotropic mixture under x = x0 + sigma eps.
  function denoised(mixture, x, sigma) {
    const { weights, means, std } = mixture, d = means[0].length, out = new Float64Array(x.length);
    const share = new Float64Array(weights.length);
    for (let at = 0; at < x.length; at += d) {
      let most = -Infinity;
      for (let k = 0; k < weights.length; k++) {
        const total = std[k] * std[k] + sigma * sigma;
        let squared = 0;
        for (let c = 0; c < d; c++) squared += (x[at + c] - means[k][c]) ** 2;
        share[k] = Math.log(weights[k]) - squared / (2 * total) - (d / 2) * Math.log(total);
        most = Math.max(most, share[k]);
      }
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += share[k] = Math.exp(share[k] - most);
      for (let k = 0; k < weights.length; k++) {
        const gain = std[k] * std[k] / (std[k] * std[k] + sigma * sigma);
        for (let c = 0; c < d; c++)
          out[at + c] += share[k] / sum * (means[k][c] + gain * (x[at + c] - means[k][c]));
      }
    }
    return out;
  }

  // The density of x at a noise level.
  function density(mixture, x, sigma) {
    const { weights, means, std } = mixture, d = means[0].length;
    const out = new Float64Array(x.length / d);
    for (let i = 0; i < out.length; i++)
      for (let k = 0; k < weights.length; k++) {
        const total = std[k] * std[k] + sigma * sigma;
        let squared = 0;
        for (let c = 0; c < d; c++) squared += (x[i * d + c] - means[k][c]) ** 2;
        out[i] += weights[k] * Math.exp(-squared / (2 * total)) / (2 * Math.PI * total) ** (d / 2);
      }
    return out;
  }

  // The law on a line, as a distribution function.
  function distribution(mixture, x, sigma) {
    let sum = 0;
    mixture.weights.forEach((w, k) => {
      sum += w * normal((x - mixture.means[k][0]) / Math.hypot(mixture.std[k], sigma));
    });
    return sum;
  }

  // The normal distribution function, by the continued fraction or the series of erfc.
  function normal(z) {
    if (Math.abs(z) > 38) return z > 0 ? 1 : 0;
    if (Math.abs(z) < 3) {
      let term = z, sum = z;
      for (let k = 1; k < 60; k++) sum += term *= z * z / (2 * k + 1);
      return 0.5 + sum * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
    }
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / (Math.abs(z) + fraction);
    const tail = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI) / (Math.abs(z) + fraction);
    return z > 0 ? 1 - tail : tail;
  }

  // All states of a plan: the start, every state the model is called on, the end.
  function run(plan, mixture, start, draw) {
    const states = [start], outputs = [], draws = [];
    for (let i = 0; i < plan.rows.length; i++) {
      const x = states[i], clean = denoised(mixture, x, plan.at[i]);
      if (plan.of === "noise")
        for (let c = 0; c < x.length; c++) clean[c] = (x[c] - clean[c]) / plan.at[i];
      outputs.push(clean);
      const row = plan.rows[i], base = states[row[0]], next = new Float64Array(x.length);
      for (let c = 0; c < x.length; c++) next[c] = row[1] * base[c];
      for (let t = 2; t < row.length; t += 2) {
        const index = row[t];
        const term = index >= 0 ? outputs[index] : (draws[-index] ||= draw(x.length));
        for (let c = 0; c < x.length; c++) next[c] += row[t + 1] * term[c];
      }
      states.push(next);
    }
    return states;
  }

  // The exact path: dx/d(log sigma) = x - D, by the classical Runge-Kutta method in small steps.
  function path(mixture, start, from, to, steps = 400) {
    const h = Math.log(to / from) / steps, states = [start], at = [from];
    const slope = (x, sigma) => denoised(mixture, x, sigma).map((value, c) => x[c] - value);
    const moved = (x, k, share) => x.map((value, c) => value + share * k[c]);
    for (let i = 0; i < steps; i++) {
      const x = states[i], sigma = from * Math.exp(h * i);
      const half = sigma * Math.exp(h / 2), full = sigma * Math.exp(h);
      const k1 = slope(x, sigma), k2 = slope(moved(x, k1, h / 2), half);
      const k3 = slope(moved(x, k2, h / 2), half), k4 = slope(moved(x, k3, h), full);
      states.push(x.map((value, c) => value + h * (k1[c] + 2 * k2[c] + 2 * k3[c] + k4[c]) / 6));
      at.push(full);
    }
    return { states, at };
  }

  // A plain ODE dy/dt = f(t, y) along a plan of time and weights of f for every state.
  function follow(plan, f, y0) {
    const slopes = [], t = [], y = [];
    plan.forEach((row, i) => {
      let value = y0;
      for (let j = 0; j < slopes.length; j++) value += (row[j + 1] || 0) * slopes[j];
      t.push(row[0]);
      y.push(value);
      if (i < plan.length - 1) slopes.push(f(row[0], value));
    });
    return { t, y };
  }

  function distance(a, b, d) {
    let sum = 0;
    for (let c = 0; c < a.length; c++) sum += (a[c] - b[c]) ** 2;
    return Math.sqrt(sum / (a.length / d));
  }

  // Unit normal numbers, the same for the same seed.
  function normals(seed) {
    let state = seed >>> 0, spare = null;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const one = () => {
      if (spare !== null) { const kept = spare; spare = null; return kept; }
      const radius = Math.sqrt(-2 * Math.log(1 - uniform())), angle = 2 * Math.PI * uniform();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    };
    const many = n => Float64Array.from({ length: n }, one);
    return { uniform, one, many };
  }

  // Points of the law at a noise level.
  function noisy(mixture, count, sigma, seed) {
    const random = normals(seed), d = mixture.means[0].length, x = new Float64Array(count * d);
    for (let i = 0; i < count; i++) {
      let u = random.uniform(), k = 0;
      while (k < mixture.weights.length - 1 && u > mixture.weights[k]) u -= mixture.weights[k++];
      for (let c = 0; c < d; c++)
        x[i * d + c] = mixture.means[k][c] + Math.hypot(mixture.std[k], sigma) * random.one();
    }
    return x;
  }

  // The size of the greatest root of sum_k p_k zeta^k, p_k = sum_i p[k][i] z^i (Durand-Kerner).
  function radius(polynomials, re, im) {
    let core = polynomials.map(p => {
      let a = 0, b = 0;
      for (let i = p.length - 1; i >= 0; i--) [a, b] = [a * re - b * im + p[i], a * im + b * re];
      return [a, b];
    });
    const small = ([a, b]) => Math.hypot(a, b) < 1e-14;
    while (core.length > 1 && small(core[core.length - 1])) core.pop();
    while (core.length > 1 && small(core[0])) core.shift();
    const degree = core.length - 1;
    if (degree < 1) return 0;
    const [la, lb] = core[degree], norm = la * la + lb * lb;
    core = core.map(([a, b]) => [(a * la + b * lb) / norm, (b * la - a * lb) / norm]);
    if (degree === 1) return Math.hypot(...core[0]);
    const bound = 1 + Math.max(...core.slice(0, degree).map(([a, b]) => Math.hypot(a, b)));
    const roots = core.slice(1).map((_, i) => {
      const angle = 2 * Math.PI * (i + 0.35) / degree;
      return [bound * 0.7 * Math.cos(angle), bound * 0.7 * Math.sin(angle)];
    });
    for (let round = 0; round < 60; round++) {
      let change = 0;
      roots.forEach((root, i) => {
        let [a, b] = core[degree];
        for (let k = degree - 1; k >= 0; k--)
          [a, b] = [a * root[0] - b * root[1] + core[k][0], a * root[1] + b * root[0] + core[k][1]];
        roots.forEach((other, j) => {
          if (j === i) return;
          const c = root[0] - other[0], e = root[1] - other[1], size = c * c + e * e || 1e-30;
          [a, b] = [(a * c + b * e) / size, (b * c - a * e) / size];
        });
        roots[i] = [root[0] - a, root[1] - b];
        change = Math.max(change, Math.hypot(a, b));
      });
      if (change < 1e-9 * bound) break;
    }
    return Math.max(...roots.map(root => Math.hypot(...root)));
  }

  // A trained student's raw network on a line: its state, one time as waves, layers with SiLU between.
  function network(layers, state, time) {
    let values = [state, time];
    const phases = Array.from({ length: 6 }, (_, i) => time * 2 ** (-2 + 4 * i / 5));
    values = [...values, ...phases.map(Math.sin), ...phases.map(Math.cos)];
    layers.forEach(([rows, biases], k) => {
      values = rows.map((row, i) => {
        const sum = row.reduce((total, weight, j) => total + weight * values[j], biases[i]);
        return k < layers.length - 1 ? sum / (1 + Math.exp(-sum)) : sum;
      });
    });
    return values[0];
  }

  // Where a student says that a state at sigma goes: the boundary of its form holds exactly.
  const raw = (known, layers, x, sigma) => network(layers, x / Math.hypot(sigma, known.sigma_data), Math.log(sigma) / 4);

  // f(x, sigma), the identity at the lowest level (Song et al. 2023, Appendix C).
  function consistency(known, layers, x, sigma) {
    const above = sigma - known.sigma_min, data = known.sigma_data;
    return data * data / (above * above + data * data) * x
      + above * data / Math.hypot(sigma, data) * raw(known, layers, x, sigma);
  }

  // A DDIM step to the next level along the student's denoiser (Salimans and Ho 2022).
  function jump(known, layers, x, sigma, next) {
    const data = known.sigma_data, size = sigma * sigma + data * data;
    const clean = data * data / size * x + sigma * data / Math.sqrt(size) * raw(known, layers, x, sigma);
    return x + (1 - next / sigma) * (clean - x);
  }

  return {
    consistency, jump,
    denoised, density, distribution, run, path, follow, distance, normals, noisy, radius, normal,
  };
})();
