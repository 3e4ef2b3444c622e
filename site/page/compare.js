// What changed between two lines, from the tables beside the page.
import { $, fillSelect, make, table } from "./dom.js";

const section = $("#compare");

function minus(some, others) {
  return some.filter((one) => !others.includes(one));
}

function changes(tables, before, after) {
  const rows = [];
  const name = (build) => `${build.backend}|${build.platform}`;
  const [old, now] = [before.builds.map(name), after.builds.map(name)];
  const told = (keys, className) => {
    const by = new Map();
    for (const key of keys) {
      const [backend, platform] = key.split("|");
      by.set(backend, [...(by.get(backend) ?? []), tables.platforms[platform]]);
    }
    if (!by.size) return "–";
    const items = [...by].map(([backend, on]) => make("li", {}, `${backend} (${on.join(", ")})`));
    return make("ul", { class: className }, ...items);
  };
  rows.push(["Builds that came", told(minus(now, old), "came")]);
  rows.push(["Builds that went", told(minus(old, now), "gone")]);
  const list = (some) => some.join(", ") || "–";
  rows.push(["Pythons that came", list(minus(after.pythons, before.pythons))]);
  rows.push(["Pythons that went", list(minus(before.pythons, after.pythons))]);
  const pairs = [
    ["torch", before.torch, after.torch],
    ...Object.entries(after.companions).map(([key, value]) => [key, before.companions[key], value]),
    ...Object.entries(after.pypi).map(([on, build]) => [
      `PyPI's wheel on ${tables.platforms[on]}`,
      before.pypi[on],
      build,
    ]),
    ["oldest glibc", before.oldest.glibc, after.oldest.glibc],
    ["oldest macOS", before.oldest.macos, after.oldest.macos],
  ];
  for (const [what, one, other] of pairs) {
    if (one !== other) rows.push([what, `${one ?? "–"} → ${other}`]);
  }
  return table([`torch ${before.line} → ${after.line}`, "Change"], rows);
}

export async function startCompare() {
  const answer = await fetch("tables.json");
  if (!answer.ok) return;
  const tables = await answer.json();
  if (tables.lines.length < 2) return;
  const [from, to] = section.querySelectorAll("select");
  const options = tables.lines.map(({ line }) => [line, line]);
  const place = Math.min(
    tables.lines.findIndex(({ line }) => line === tables.default_line),
    tables.lines.length - 2,
  );
  fillSelect(to, options, options[place][0]);
  fillSelect(from, options, options[place + 1][0]);
  const find = (name) => tables.lines.find(({ line }) => line === name);
  const show = () => $("#changes").replaceChildren(changes(tables, find(from.value), find(to.value)));
  section.addEventListener("change", show);
  show();
  section.hidden = false;
}
