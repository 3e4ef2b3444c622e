// The page: what was chosen, its address, and the worker in which Python decides.
import { $ } from "./dom.js";
import { fillForm, listen } from "./form.js";
import { announce, copy, fillResult } from "./result.js";
import { startCompare } from "./compare.js";

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let calls = 0;
let asked = 0;
// What is wanted now, of which `shown` is the last answer that arrived.
let wanted = { given: {}, here: guessed(), folder: "" };
let shown = null;

worker.onmessage = ({ data: { id, answer, error } }) => {
  const [done, failed] = waiting.get(id);
  waiting.delete(id);
  error === undefined ? done(answer) : failed(new Error(error));
};
worker.onerror = (event) => fail(event.message ?? "");

function call(name, ...values) {
  return new Promise((done, failed) => {
    waiting.set(++calls, [done, failed]);
    worker.postMessage({ id: calls, call: name, values });
  });
}

function fail(why) {
  $("#status").textContent = `The planner does not run in this browser. The tables below hold. (${why})`;
}

// The system of the visitor, as far as a browser says it.
function guessed() {
  const text = `${navigator.userAgentData?.platform ?? ""} ${navigator.userAgent}`;
  const system = /Windows/.test(text) ? "windows" : /Mac/.test(text) ? "darwin" : "linux";
  const arm = system === "darwin" || /aarch64|arm64/i.test(text);
  return { system, machine: arm ? "aarch64" : "x86_64", driver: "", gpu: "" };
}

// Ask for a state; `how` is what becomes of the history: "push", "replace" or "".
async function ask(request, how) {
  const mine = ++asked;
  let state;
  try {
    state = JSON.parse(await call("state", JSON.stringify(request)));
  } catch (error) {
    return fail(error.message);
  }
  // A later choice has been made meanwhile, and its answer comes.
  if (mine !== asked) return;
  shown = state;
  wanted = { given: state.given, here: state.here, folder: state.folder };
  $("#status").textContent = "";
  fillForm(state);
  fillResult(state);
  const address = state.link === undefined ? location.href : `#${state.link}`;
  if (how === "push" && address !== location.hash) history.pushState(wanted, "", address);
  else if (how) history.replaceState(wanted, "", address);
  // Tests wait for it.
  document.body.dataset.answers = Number(document.body.dataset.answers ?? 0) + 1;
}

function choose(change) {
  const before = wanted;
  // A choice before the answer has come counts as well.
  wanted = { ...before, given: { ...before.given, ...change } };
  return ask({ ...before, change }, "push");
}

function stand(here) {
  wanted = { ...wanted, here: { ...wanted.here, ...here } };
  return ask(wanted, "push");
}

async function paste(text) {
  const seen = JSON.parse(await call("paste", text));
  $("#seen").textContent = seen.said.join(" ");
  if (Object.keys(seen.here).length) await stand(seen.here);
}

async function download() {
  $("#zip").disabled = true;
  try {
    const now = new Date();
    const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()];
    const time = [now.getHours(), now.getMinutes(), now.getSeconds()];
    // What is to be seen, though a later choice may be on its way.
    const { given, here, folder } = shown;
    const bytes = await call("archive", JSON.stringify({ given, here, folder }), ...date, ...time);
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
    const link = Object.assign(document.createElement("a"), { href: url, download: `${folder}.zip` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    announce("The project is downloaded");
  } catch (error) {
    announce(error.message);
  } finally {
    $("#zip").disabled = false;
  }
}

function start() {
  $("#chooser").hidden = false;
  listen(choose, () => shown?.questions ?? []);
  const form = $("#choose");
  for (const name of ["system", "machine", "gpu", "driver"]) {
    form.elements[name].addEventListener("change", ({ target }) => stand({ [name]: target.value }));
  }
  let later;
  form.elements.pasted.addEventListener("input", ({ target }) => {
    clearTimeout(later);
    later = setTimeout(() => paste(target.value), 150);
  });
  document.addEventListener("click", ({ target }) => {
    const from = target.dataset?.copies;
    if (from) copy(target, document.getElementById(from).textContent, document.getElementById(from));
  });
  $("#share").addEventListener("click", ({ target }) => copy(target, location.href));
  $("#zip").addEventListener("click", download);
  addEventListener("popstate", ({ state }) => {
    // Without a state it is a link, which says itself what it means.
    ask(state ?? { link: location.hash.slice(1), here: guessed() }, state ? "" : "replace");
  });
  ask({ link: location.hash.slice(1), here: wanted.here }, "replace");
  startCompare();
}

start();
