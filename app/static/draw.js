// A canvas for light strokes on black. After each stroke the whole drawing goes to the server as a PNG.
const SIDE = 224, STEP = 8;
const make = (tag, parent, words) => Object.assign(parent.appendChild(document.createElement(tag)), { textContent: words ?? "" });

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".draw");
  if (root.built) return undefined; // what is drawn stays when the page around it is drawn anew
  root.built = true;
  const canvas = make("canvas", root), tools = make("div", root), help = make("small", root, data.help);
  tools.className = "tools";
  canvas.width = canvas.height = SIDE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Drawing. ${data.help}`);
  help.setAttribute("aria-hidden", "true");
  const pen = canvas.getContext("2d");
  let erasing = false, at = null, keys = { x: SIDE / 2, y: SIDE / 2, down: false };
  const clear = () => { pen.globalCompositeOperation = "source-over"; pen.fillStyle = "#000"; pen.fillRect(0, 0, SIDE, SIDE); };
  const send = () => setStateValue("drawing", canvas.toDataURL("image/png"));
  const stroke = (from, to) => {
    pen.strokeStyle = erasing ? "#000" : "#fff"; pen.lineWidth = erasing ? 30 : 18; pen.lineCap = pen.lineJoin = "round";
    pen.beginPath(); pen.moveTo(from.x, from.y); pen.lineTo(to.x, to.y + 0.01); pen.stroke();
  };
  const place = (event) => { const box = canvas.getBoundingClientRect(); return { x: ((event.clientX - box.left) * SIDE) / box.width, y: ((event.clientY - box.top) * SIDE) / box.height }; };
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); at = place(event); stroke(at, at); };
  canvas.onpointermove = (event) => { if (at) { const next = place(event); stroke(at, next); at = next; } };
  canvas.onpointerup = canvas.onpointercancel = () => { if (at) { at = null; send(); } };
  canvas.onkeydown = (event) => {
    const move = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === " ") { keys.down = !keys.down; if (keys.down) stroke(keys, keys); else send(); }
    else if (move) {
      const next = { ...keys, x: Math.min(SIDE, Math.max(0, keys.x + move[0])), y: Math.min(SIDE, Math.max(0, keys.y + move[1])) };
      if (keys.down) stroke(keys, next);
      keys = next;
    } else return;
    event.preventDefault();
  };
  const button = (words, act) => { const made = make("button", tools, words); made.type = "button"; made.onclick = act; return made; };
  const choose = (erase) => { erasing = erase; brush.setAttribute("aria-pressed", !erase); eraser.setAttribute("aria-pressed", erase); };
  const brush = button("Brush", () => choose(false)), eraser = button("Eraser", () => choose(true));
  button("Clear", () => { clear(); setStateValue("drawing", null); });
  clear();
  choose(false);
  return undefined;
}
