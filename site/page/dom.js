// Small helpers: every text of an answer goes through textContent.

export const $ = (selector, inside = document) => inside.querySelector(selector);

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key in made && key !== "list" && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// `rows` are arrays of texts or elements; the first of each is its head.
export function table(head, rows) {
  const top = make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, first),
      ...rest.map((cell) => (cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))),
    ),
  );
  return make("table", {}, make("thead", {}, top), make("tbody", {}, ...body));
}

// Options of a select, as [value, text, group]; the chosen one stays if it is still there.
export function fillSelect(select, options, value) {
  const groups = new Map();
  select.replaceChildren();
  for (const [key, text, group] of options) {
    const option = make("option", { value: key }, text);
    if (!group) {
      select.append(option);
      continue;
    }
    if (!groups.has(group)) {
      groups.set(group, make("optgroup", { label: group }));
      select.append(groups.get(group));
    }
    groups.get(group).append(option);
  }
  select.value = value;
}
