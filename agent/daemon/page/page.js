"use strict";
// Asks by relative addresses only, so that it works below any path. What the agent says was partly
// written by strangers: it becomes text, never markup.
(() => {
  const LIVE_EVERY_MS = 2000, LIST_EVERY_MS = 5000, LATE_MS = 15000;
  const FEW = 20, SECONDS = 600, WIDTH = 600, HEIGHT = 100, LEAST_WAIT_S = 0.01;
  const at = (id) => document.getElementById(id);

  // What does not print, or turns the direction of what does, is spelt out.
  const plain = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  const make = (name, content, attributes = {}) => {
    const one = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    one.append(...[content ?? ""].flat().filter((part) => part !== null && part !== "").map((part) => (typeof part === "string" ? plain(part) : part)));
    return one;
  };
  const draw = (name, attributes) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    return one;
  };

  const clock = (s) => new Date(s * 1000).toISOString().slice(11, 19);
  const when = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 19)}` : "time unknown");
  const words = (name) => (name || "").replaceAll("_", " ").replace(/\b(io|cpu|oom|cni)\b/g, (w) => ({ io: "I/O" }[w] || w.toUpperCase()));
  const named = (one) => (one ? `${one.namespace ? `${one.namespace}/` : ""}${one.pod ?? one.name}` : "");
  const number = (value) => (typeof value === "number" ? value.toFixed(2) : "");
  const list = (value) => (Array.isArray(value) ? value : []);

  // ---- what happened ----
  let incidents = [], all = false, asked = "", drawnFor = "";

  const opened = (one) => (one.opened_at ? Date.parse(one.opened_at) : 0);
  const wanted = () => {
    const find = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const hours = Number(at("since").value), cause = at("cause").value;
    const from = hours ? Date.now() - hours * 3600e3 : -Infinity;
    return incidents.filter((one) => {
      if (cause && one.cause !== cause) return false;
      if (one.planned && !at("planned").checked) return false;
      if (opened(one) < from) return false;
      const text = [one.verdict, words(one.cause), one.cause, named(one.offender), ...list(one.victims).map(named)].join(" ").toLowerCase();
      return find.every((word) => text.includes(word));
    });
  };

  const row = (one) => {
    const tags = [];
    if (one.stage === "open") tags.push(make("span", "open", { class: "tag open" }));
    if (one.planned) tags.push(make("span", "planned work", { class: "tag" }));
    const link = make("a", one.verdict || "an incident", { href: `#${one.id}` });
    const report = make("a", "report", { href: `incidents/${one.id}/report`, "aria-label": plain(`Whole report: ${one.verdict || "an incident"}`) });
    const cells = [when(one.opened_at), [...tags, link], words(one.cause), number(one.confidence), String(one.hurt ?? ""), report];
    const line = make("tr", cells.map((cell, i) => make("td", cell, i === 3 || i === 4 ? { class: "number" } : {})));
    line.classList.toggle("shown", one.id === asked);
    return line;
  };

  const drawList = () => {
    const found = wanted(), some = all ? found : found.slice(0, FEW);
    at("rows").replaceChildren(...some.map(row));
    at("rows").parentElement.hidden = !some.length;
    at("more").hidden = some.length === found.length;
    at("more").textContent = `Show all ${found.length}`;
    at("count").textContent = found.length === incidents.length ? "" : `${found.length} of ${incidents.length}`;
    at("none").hidden = some.length > 0;
    at("none").textContent = incidents.length ? "No incident fits this filter." : "None so far.";
    const open = incidents.filter((one) => one.stage === "open" && !one.planned);
    at("state").textContent = open.length ? `Open: ${plain(open[0].verdict || "an incident")}` : "No incident is open.";
    at("last").textContent = incidents.length ? `The last began at ${when(incidents[0].opened_at)} UTC.` : "None is kept on this node.";
    at("last").hidden = open.length > 0;
    const causes = [...new Set(incidents.map((one) => one.cause).filter(Boolean))].sort();
    const known = [...at("cause").options].slice(1).map((option) => option.value);
    if (causes.join() !== known.join()) {
      const chosen = at("cause").value;
      at("cause").replaceChildren(at("cause").options[0], ...causes.map((cause) => make("option", words(cause), { value: cause })));
      at("cause").value = causes.includes(chosen) ? chosen : "";
    }
  };

  const part = (title, content) => (content ? [make("h3", title), content] : []);
  const bullets = (items) => (items.length ? make("ul", items.map((item) => make("li", item))) : null);
  const answer = (name, what, more) => [make("dt", name), make("dd", [make("strong", what), more ? make("small", more) : ""])];

  const chain = (one) => {
    const lines = list(one.chain).map((link) => {
      const kill = one.killer && link.at === one.killer.at;
      const time = make("time", link.at ? link.at.slice(11, 19) : "", link.at ? { datetime: link.at } : {});
      return make("li", [time, make("span", `${link.what} (${link.source})`, kill ? { class: "kill" } : {})]);
    });
    return lines.length ? make("ol", lines, { class: "times" }) : null;
  };
  const command = (one) => {
    const usual = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
    const hurt = list(one.victims).find((victim) => usual.test(victim.pod) && usual.test(victim.namespace));
    if (hurt) return `knockon why pod/${hurt.pod} -n ${hurt.namespace} --html report.html`;
    return usual.test(one.node) ? `knockon why --node ${one.node} --html report.html` : "";
  };

  const drawOne = (one) => {
    const victims = list(one.victims), advice = list(one.advice), full = command(one);
    const harms = [...new Set(victims.map((victim) => victim.harm).filter(Boolean))].join(", ");
    const impact = list(one.impact).map((owner) => `${owner.owner || owner.pods.join(", ")}${owner.namespace ? ` in ${owner.namespace}` : ""}: ${owner.says}`);
    const proofs = (side) => list(one.evidence && one.evidence[side]).map((proof) => `${proof.says} (${proof.source || "concluded"})`);
    const rivals = list(one.rivals).map((rival) => `${words(rival.cause)}, ${number(rival.confidence)}${rival.lost_because ? `: ${rival.lost_because}` : ""}`);
    const unseen = [...list(one.missing), ...list(one.blind).map((spot) => `${spot.source}: ${spot.why}`)];
    at("one").replaceChildren(
      make("p", [make("a", "All incidents", { href: "#" }), " · ", make("a", "Whole report, to read and forward", { href: `incidents/${one.id}/report` })]),
      make("h2", one.verdict || "An incident"),
      make("dl", [
        answer("Killer", one.killer ? one.killer.name || words(one.killer.kind) : "not seen", one.killer && one.killer.name ? words(one.killer.kind) : ""),
        answer("Cause", words(one.cause), `confidence ${number(one.confidence)}${one.planned ? ", planned work" : ""}`),
        answer("Offender", one.offender ? `${one.offender.kind} ${named(one.offender)}` : "not seen", one.offender ? one.offender.method : ""),
        answer("Victims", `${new Set(victims.map(named)).size} pods`, harms),
        answer("When", `${when(one.opened_at)} UTC`, one.node ? `on ${one.node}` : ""),
      ].flat()),
      ...part("What to do next", advice.length ? make("ol", advice.map((step) => make("li", step)), { class: "next" }) : null),
      ...part("What happened, in order", chain(one)),
      ...part("Who was hurt", bullets(impact)),
      ...part("What speaks for it", bullets(proofs("for"))),
      ...part("What speaks against it", bullets(proofs("against"))),
      ...part("What it was not", bullets(rivals)),
      ...part("What could not be seen", bullets(unseen)),
      ...part("The whole report, made on your machine", full ? make("code", full) : null),
      make("p", make("a", "This incident as JSON", { href: `incidents/${one.id}` })),
    );
  };

  const showAsked = async () => {
    const id = decodeURIComponent(location.hash.slice(1));
    asked = /^[0-9a-f]{4,64}$/.test(id) ? id : "";
    const summary = incidents.find((one) => one.id === asked);
    const state = asked && JSON.stringify([asked, summary]);
    at("one").hidden = !asked;
    drawList();
    if (!asked || state === drawnFor) return;
    const moved = !drawnFor.includes(asked);
    try {
      const told = await get(`incidents/${asked}`);
      drawOne(told.incidents[0]);
      drawnFor = state;
    } catch {
      at("one").replaceChildren(make("p", "This incident is not kept here (any more), or the agent does not answer."), make("a", "All incidents", { href: "#" }));
    }
    if (moved) at("one").focus();
  };

  // ---- the last ten minutes ----
  const CHARTS = [
    { title: "Disk pressure", unit: "pct", series: [["io_pct", "area"], ["io_full_pct", "dark"]] },
    { title: "Memory pressure", unit: "pct", series: [["memory_pct", "area"], ["memory_full_pct", "dark"]] },
    { title: "CPU pressure", unit: "pct", series: [["cpu_pct", "area"]] },
    { title: "Memory available", unit: "bytes", series: [["available_bytes", "area"]] },
    { title: "docker ps answers", unit: "wait", series: [["docker_answered_s", "dark"], ["docker_waits_s", "mark"]] },
    { title: "CRI answers", unit: "wait", series: [["cri_answered_s", "dark"], ["cri_waits_s", "mark"]] },
  ];
  let next = -1, columns = [], seconds = [], timeoutS = 60;

  const quantity = (value, unit) => {
    if (unit === "pct") return `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
    if (unit === "wait") return value < 9.995 ? `${value.toFixed(2)} s` : `${value.toFixed(0)} s`;
    return value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${(value / 1e6).toFixed(0)} MB`;
  };
  const share = (value, chart, top) => {
    if (chart.unit !== "wait") return Math.min(value / top, 1);
    return Math.min(Math.log(Math.max(value, LEAST_WAIT_S) / LEAST_WAIT_S) / Math.log(top / LEAST_WAIT_S), 1);
  };
  // A probe is told once; it is held until the next, and what still waits is drawn back to its question.
  const held = (chart, column, until) => {
    const bars = [];
    for (const second of seconds) {
      const value = second[column];
      if (value === null || value === undefined) continue;
      const from = chart.unit === "wait" ? second[0] - Math.max(value, 1) : second[0] - 1;
      bars.push([WIDTH - (until - from), WIDTH - (until - second[0]), value]);
    }
    return bars;
  };
  const unanswered = (waits, answers) => waits.filter((wait) => !answers.some((one) => one[1] >= wait[1] && Math.abs(one[0] - wait[0]) < 2));

  const drawChart = (chart, until) => {
    const series = chart.series.map(([name, style]) => ({ style, bars: held(chart, columns.indexOf(name), until) }));
    if (chart.unit === "wait") series[1].bars = unanswered(series[1].bars, series[0].bars);
    const values = series.flatMap((one) => one.bars.map((bar) => bar[2]));
    if (!values.length) { if (chart.figure) chart.figure.hidden = true; return; }
    if (!chart.figure) {
      chart.svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
      chart.output = make("output");
      chart.figure = make("figure", [make("figcaption", [make("b", chart.title), chart.output]), chart.svg], { class: "chart" });
      const place = CHARTS.indexOf(chart);
      at("charts").insertBefore(chart.figure, CHARTS.slice(place + 1).map((one) => one.figure).find(Boolean) ?? axis);
    }
    chart.figure.hidden = false;
    const peak = Math.max(...values);
    const top = { pct: Math.max(peak, 10), bytes: peak, wait: Math.max(peak, timeoutS) * 1.5 }[chart.unit];
    const paths = series.map((one) => draw("path", {
      class: one.style,
      d: one.bars.map(([from, to, value]) => `M${Math.max(from, 0).toFixed(1)} ${HEIGHT}V${(HEIGHT * (1 - share(value, chart, top))).toFixed(1)}H${to.toFixed(1)}V${HEIGHT}Z`).join(""),
    }));
    if (chart.unit === "wait") {
      const y = HEIGHT * (1 - share(timeoutS, chart, top));
      paths.push(draw("line", { class: "limit", x1: 0, x2: WIDTH, y1: y, y2: y }));
    }
    chart.svg.replaceChildren(...paths);
    const ends = series.map((one) => one.bars.at(-1)).filter(Boolean).sort((a, b) => a[1] - b[1]);
    const latest = chart.unit === "wait" ? ends.at(-1) : series[0].bars.at(-1);
    const waits = chart.unit === "wait" && series[1].bars.at(-1) === latest;
    const extreme = chart.unit === "bytes" ? `lowest ${quantity(Math.min(...values), chart.unit)}` : `highest ${quantity(peak, chart.unit)}`;
    const limit = chart.unit === "wait" ? `, the killer waits ${timeoutS} s` : "";
    chart.output.textContent = `${waits ? "no answer for " : ""}${quantity(latest ? latest[2] : 0, chart.unit)} · ${extreme}${limit}`;
    chart.svg.setAttribute("aria-label", `${chart.title}, the last ten minutes: ${waits ? "no answer so far for" : "now"} ${quantity(latest ? latest[2] : 0, chart.unit)}, ${extreme}${limit}.`);
  };

  const axis = make("div", [make("span"), make("span"), make("span")], { class: "axis", hidden: "" });
  at("charts").append(axis);
  const drawLive = () => {
    const until = seconds.length ? seconds.at(-1)[0] : 0;
    at("no-live").hidden = seconds.length > 0;
    axis.hidden = !seconds.length;
    if (!seconds.length) return;
    [SECONDS, SECONDS / 2, 0].forEach((ago, i) => { axis.children[i].textContent = clock(until - ago); });
    for (const chart of CHARTS) drawChart(chart, until);
  };

  // ---- asking ----
  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(LATE_MS) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };
  const take = (live) => {
    [columns, timeoutS] = [live.columns, live.killer_timeout_s];
    if (live.from !== next) seconds = [];
    next = live.next;
    seconds.push(...live.rows);
    const last = seconds.length ? seconds.at(-1)[0] : 0;
    seconds = seconds.filter((second) => second[0] > last - SECONDS && second[0] <= last);
    at("node").textContent = live.node ? `node ${live.node}` : "";
    at("version").textContent = `agent ${live.version}`;
    document.title = live.node ? `Knock-on: ${live.node}` : "Knock-on";
    drawLive();
  };
  const hear = (well) => {
    at("heard").textContent = well ? `live, ${clock(Date.now() / 1000)} UTC` : "the agent does not answer; asking again";
    at("heard").classList.toggle("late", !well);
  };

  // One question at a time; a page nobody looks at asks nothing, a silent agent is asked less often.
  const ask = (everyMs, question) => {
    let failures = 0;
    const turn = async () => {
      if (!document.hidden) {
        try { await question(); failures = 0; hear(true); } catch { failures = Math.min(failures + 1, 4); hear(false); }
      }
      setTimeout(turn, everyMs * 2 ** failures);
    };
    turn();
  };
  ask(LIVE_EVERY_MS, async () => take(await get(`live?since=${Math.max(next, 0)}`)));
  ask(LIST_EVERY_MS, async () => {
    incidents = list((await get("incidents")).incidents);
    await showAsked();
    document.documentElement.dataset.ready = "yes";
  });

  at("filters").addEventListener("input", drawList);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", () => { all = true; drawList(); });
  addEventListener("hashchange", showAsked);
})();
