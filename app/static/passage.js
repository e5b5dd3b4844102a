// Both models' nearest images at the step that the player shows, and how many of the first ones are still among them.
const SVG = "http://www.w3.org/2000/svg";
const make = (tag, parent, words) => { const node = parent.appendChild(document.createElement(tag)); if (words !== undefined) node.textContent = words; return node; };

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".passage");
  root.replaceChildren();
  root.classList.toggle("dark", data.dark);
  const draws = data.lanes.map((lane) => {
    const section = make("section", root), before = new Set(lane.before), last = lane.steps.at(-1) || 1, k = lane.before.length;
    const kept = lane.near.map((row) => row.filter((index) => before.has(index)).length);
    const head = make("p", section), row = make("div", section), svg = section.appendChild(document.createElementNS(SVG, "svg"));
    row.className = "near";
    const images = lane.before.map(() => make("img", row));
    svg.setAttribute("viewBox", "0 0 100 30"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true");
    const add = (tag, facts) => { const node = svg.appendChild(document.createElementNS(SVG, tag)); Object.entries(facts).forEach(([key, value]) => node.setAttribute(key, value)); return node; };
    add("line", { class: "axis", x1: 0, y1: 30, x2: 100, y2: 30 });
    add("polyline", { points: kept.map((count, i) => `${(100 * lane.steps[i]) / last},${30 - (30 * count) / k}`).join(" ") });
    const mark = add("line", { y1: 0, y2: 30 });
    return (wanted) => {
      const place = Math.max(0, lane.steps.findLastIndex((step) => step <= wanted)), at = (100 * lane.steps[place]) / last;
      head.replaceChildren(`${lane.name} at step ${lane.steps[place]}: `);
      make("b", head, `${kept[place]} of ${k}`);
      head.append(" of the neighbours before");
      images.forEach((image, i) => {
        const index = lane.near[place][i], words = `${data.labels[index]}, ${before.has(index) ? "kept" : "new"}`;
        image.src = data.pictures[index]; image.alt = image.title = words;
        image.className = before.has(index) ? "kept" : "new";
      });
      mark.setAttribute("x1", at); mark.setAttribute("x2", at);
    };
  });
  const show = (step) => draws.forEach((draw) => draw(step));
  const follow = (event) => { if (event.detail.id === data.id) show(event.detail.step); };
  addEventListener("lsp-lab-step", follow);
  show(Infinity);
  return () => removeEventListener("lsp-lab-step", follow);
}
