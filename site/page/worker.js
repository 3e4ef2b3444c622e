// Python, away from the page, so that the page answers while it starts and thinks.
import { loadPyodide } from "./pyodide/pyodide.mjs";

async function start() {
  const [python, packed] = await Promise.all([
    loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href }),
    fetch(new URL("./python.zip", import.meta.url)).then((answer) => {
      if (!answer.ok) throw new Error(`python.zip: ${answer.status}`);
      return answer.arrayBuffer();
    }),
  ]);
  python.unpackArchive(packed, "zip", { extractDir: "/app" });
  return python.runPython(`
import sys
sys.path.insert(0, "/app")
sys.dont_write_bytecode = True
from chooser import door
door.open_at("/app")
`);
}

const chooser = start();
let warming = false;

// While nobody waits, a little at a time: a message that arrives meanwhile comes next.
async function warm() {
  if ((await chooser).warm()) setTimeout(warm);
}

self.onmessage = async ({ data: { id, call, values } }) => {
  try {
    let answer = (await chooser)[call](...values);
    if (call === "archive") {
      const bytes = answer.toJs();
      answer.destroy();
      answer = bytes;
    }
    self.postMessage({ id, answer });
    if (!warming) {
      warming = true;
      setTimeout(warm);
    }
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error) });
  }
};
