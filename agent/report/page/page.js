"use strict";
// Zoom, read and filter. Text only ever goes through textContent; the drawing rule is charts.py's.
(() => {
  const LEVELS = 4095, WIDTH = 1200, HEIGHT = 200, BUCKETS = 300;
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const NARROWEST = 10;

  const unpacked = (text) => {
    const found = new Int16Array(text.length / 2);
    for (let i = 0; i < found.length; i++) {
      const high = DIGITS.indexOf(text[2 * i]);
      found[i] = high < 0 ? -1 : (high << 6) + DIGITS.indexOf(text[2 * i + 1]);
    }
    return found;
  };

  const buckets = (found, from, to) => {
    const size = to - from, count = Math.min(size, BUCKETS), made = [];
    for (let n = 0; n < count; n++) {
      let low = -1, high = -1;
      const end = from + Math.floor((n + 1) * size / count);
      for (let i = from + Math.floor(n * size / count); i < end; i++) {
        const level = found[i];
        if (level < 0) continue;
        if (low < 0 || level < low) low = level;
        if (level > high) high = level;
      }
      made.push({ x: Math.floor(n * WIDTH / count), to: Math.floor((n + 1) * WIDTH / count), low, high });
    }
    return made;
  };

  const height = (level, full = LEVELS) => HEIGHT - Math.floor((Math.min(level, full) * HEIGHT + (full >> 1)) / full);

  const edge = (points) => {
    const text = [];
    let last = null;
    for (const [to, y] of points) {
      if (y === last) text.pop(); else text.push(`V${y}`);
      text.push(`H${to}`);
      last = y;
    }
    return text.join("");
  };

  const outline = (run, style, full) => {
    const there = edge(run.map((b) => [b.to, height(b.high, full)]));
    if (style !== "line") return `M${run[0].x} ${HEIGHT}${there}V${HEIGHT}Z`;
    const back = edge([...run].reverse().map((b) => [b.x, height(b.low, full)]));
    return `M${run[0].x} ${height(run[0].high, full)}${there}${back}Z`;
  };

  const path = (found, from, to, style, full) => {
    let text = "", run = [];
    for (const bucket of [...buckets(found, from, to), null]) {
      if (bucket && bucket.high >= 0) run.push(bucket);
      else if (run.length) { text += outline(run, style, full); run = []; }
    }
    return text;
  };

  const quantity = (value, unit) => {
    if (unit === "pct") return `${value.toFixed(0)} %`;
    if (unit === "wait") return value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(0)} s`;
    const per = unit === "rate" ? "/s" : "";
    for (const [size, name] of [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
      if (value >= size) return `${(value / size).toFixed(value / size < 9.95 ? 1 : 0)} ${name}${per}`;
    }
    return `${value.toFixed(0)} B${per}`;
  };

  const clock = (atS) => {
    const at = new Date(atS * 1000);
    return Number.isNaN(at.getTime()) ? "" : at.toISOString().slice(11, 19);
  };

  const board = (root) => {
    const data = JSON.parse(document.getElementById(root.dataset.from).textContent);
    const section = root.closest("section");
    const plots = [...root.querySelectorAll("[data-track]")].map((row, index) => ({
      paths: row.querySelectorAll("path"),
      output: row.querySelector("output"),
      label: row.classList.contains("minor") ? null : row.querySelector(".top"),
      words: row.querySelector(".top").textContent,
      ...data.tracks[index],
      series: data.tracks[index].series.map(([style, text]) => ({ style, levels: unpacked(text) })),
    }));
    const marks = [...root.querySelectorAll(".mark")].map((mark, index) => ({
      mark, cell: data.marks[index] / data.step, rect: mark.querySelector("rect"),
      row: document.getElementById(mark.getAttribute("href").slice(1)),
    }));
    const kills = [...root.querySelectorAll(".kill-line")];
    const [cursor, selection] = [root.querySelector(".cursor"), root.querySelector(".selection")];
    const over = root.querySelector(".over");
    const ticks = [...root.querySelectorAll(".axis text")];
    const shown = section.querySelector(".shown"), said = root.querySelector(".said");
    let from = 0, to = data.cells, pending = false;

    const share = (cell) => `${(100 * (cell - from) / (to - from)).toFixed(3)}%`;
    // The strip is one tab stop; it must be a mark that can be seen.
    const keepTabStop = () => {
      const seen = marks.filter((one) => one.mark.style.display !== "none");
      if (!seen.length || seen.some((one) => one.mark.getAttribute("tabindex") === "0")) return;
      for (const one of marks) one.mark.setAttribute("tabindex", one === seen[0] ? 0 : -1);
    };
    // Rates have no natural end: zoomed in, the scale ends above what is in sight.
    const scale = (plot) => {
      if (plot.unit !== "rate" || !plot.label || (from === 0 && to === data.cells)) return LEVELS;
      let peak = 40;
      for (const one of plot.series) for (let i = from; i < to; i++) if (one.levels[i] > peak) peak = one.levels[i];
      return Math.min(Math.ceil(peak * 1.1), LEVELS);
    };
    const draw = () => {
      pending = false;
      for (const plot of plots) {
        const full = scale(plot);
        if (plot.top && plot.label) plot.label.textContent = full === LEVELS ? plot.words : quantity(plot.top * full / LEVELS, plot.unit);
        plot.series.forEach((one, i) => plot.paths[i].setAttribute("d", path(one.levels, from, to, one.style, full)));
      }
      for (const one of marks) {
        one.rect.setAttribute("x", share(one.cell));
        one.mark.style.display = one.cell < from || one.cell > to || (one.row && one.row.hidden) ? "none" : "";
      }
      for (const kill of kills) for (const end of ["x1", "x2"]) kill.setAttribute(end, share(data.kill / data.step));
      keepTabStop();
      const span = (to - from) * data.step, start = data.from + from * data.step;
      ticks.forEach((tick, i) => {
        const text = clock(start + span * i / (ticks.length - 1));
        tick.textContent = span < 600 ? text : text.slice(0, 5);
      });
      const day = new Date(start * 1000).toISOString().slice(0, 10);
      if (shown) shown.textContent = `${day} ${clock(start)} UTC to ${clock(start + span)}`;
      root.dataset.shown = `${from}-${to}`;
    };
    const show = (a, b) => {
      const size = Math.min(Math.max(Math.round(b - a), Math.min(NARROWEST, data.cells)), data.cells);
      from = Math.min(Math.max(Math.round(a), 0), data.cells - size);
      to = from + size;
      if (!pending) { pending = true; requestAnimationFrame(draw); }
    };
    const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, at + (to - at) * factor);
    const acts = {
      in: () => zoom(0.5, focusCell()),
      out: () => zoom(2),
      left: () => show(from - (to - from) / 4, to - (to - from) / 4),
      right: () => show(from + (to - from) / 4, to + (to - from) / 4),
      all: () => show(0, data.cells),
      kill: () => data.kill !== null && show((data.kill - 45) / data.step, (data.kill + 45) / data.step),
    };
    // Zooming in by key keeps the kill in sight when it is in sight.
    const focusCell = () => {
      const cell = data.kill === null ? -1 : data.kill / data.step;
      return cell >= from && cell <= to ? cell : (from + to) / 2;
    };
    const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all", Escape: "all", k: "kill" };
    root.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (event.target !== root || !act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      acts[act]();
    });
    for (const button of section.querySelectorAll("[data-do]")) {
      button.addEventListener("click", acts[button.dataset.do]);
    }

    const cellAt = (event) => {
      const box = over.getBoundingClientRect();
      return from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    };
    const read = (cell) => {
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, share(cell));
      for (const plot of plots) {
        plot.output.textContent = plot.series.map((one) => {
          const level = one.levels[Math.min(Math.floor(cell), data.cells - 1)];
          if (level < 0) return "-";
          const part = level / LEVELS;
          const value = plot.unit === "wait" ? data.floor * (plot.top / data.floor) ** part : plot.top * part;
          return quantity(value, plot.unit);
        }).join("\n");
      }
    };
    let begun = null;
    root.addEventListener("pointerdown", (event) => {
      if (event.button || !event.target.closest(".cell") || event.target.closest("a")) return;
      begun = cellAt(event);
    });
    root.addEventListener("pointermove", (event) => {
      const cell = cellAt(event);
      read(cell);
      if (begun === null) return;
      selection.setAttribute("x", share(Math.min(begun, cell)));
      selection.setAttribute("width", `${(100 * Math.abs(cell - begun) / (to - from)).toFixed(3)}%`);
    });
    const release = (event) => {
      if (begun === null) return;
      const cell = cellAt(event), far = Math.abs(cell - begun) > (to - from) / 100;
      if (far && event.type === "pointerup") show(Math.min(begun, cell), Math.max(begun, cell));
      begun = null;
      selection.setAttribute("width", 0);
    };
    root.addEventListener("pointerup", release);
    root.addEventListener("pointercancel", release);
    root.addEventListener("pointerleave", () => { for (const end of ["x1", "x2"]) cursor.setAttribute(end, -9); });
    root.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 0.8 : 1.25, cellAt(event));
    }, { passive: false });

    const tell = (one) => {
      if (!said || !one.row) return;
      const [time, away, source, trust, what] = [...one.row.cells].map((cell) => cell.textContent);
      const strong = document.createElement("b");
      strong.textContent = `${time} (${away}) ${what}, ${source}, ${trust}: `;
      said.replaceChildren(strong, one.row.querySelector(".raw").textContent);
    };
    marks.forEach((one, index) => {
      one.mark.setAttribute("tabindex", index ? -1 : 0);
      if (one.row) one.row.tabIndex = -1;
      one.mark.addEventListener("pointerenter", () => tell(one));
      one.mark.addEventListener("focus", () => tell(one));
      one.mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        let next = index + step;
        while (marks[next] && marks[next].mark.style.display === "none") next += step;
        if (!marks[next]) return;
        one.mark.setAttribute("tabindex", -1);
        marks[next].mark.setAttribute("tabindex", 0);
        marks[next].mark.focus();
      });
      one.mark.addEventListener("click", () => one.row && one.row.focus({ preventScroll: true }));
    });
    draw();
    return draw;
  };

  const filter = (section, redraw) => {
    const find = section.querySelector("input"), pick = section.querySelector("select");
    const count = section.querySelector(".count");
    const rows = [...section.querySelectorAll("tbody tr")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const run = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      rows.forEach((row, i) => {
        const source = !pick || !pick.value || row.cells[2].textContent === pick.value;
        row.hidden = !(source && words.every((word) => texts[i].includes(word)));
        left += !row.hidden;
      });
      if (count) count.textContent = left === rows.length ? "" : `${left} of ${rows.length}`;
      redraw();
    };
    for (const input of [find, pick]) if (input) input.addEventListener("input", run);
  };

  document.documentElement.classList.add("js");
  for (const article of document.querySelectorAll("article")) {
    const draws = [...article.querySelectorAll(".board")].map(board);
    for (const section of article.querySelectorAll("section:has(> .filter)")) {
      filter(section, () => draws.forEach((draw) => draw()));
    }
  }
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; opened.push(one); }
  });
  addEventListener("afterprint", () => { while (opened.length) opened.pop().open = false; });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
