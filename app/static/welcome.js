// Three sentences and a button; what was read is remembered by the browser alone.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".welcome"), list = document.createElement("ol"), button = document.createElement("button");
  data.sentences.forEach((sentence) => { list.appendChild(document.createElement("li")).textContent = sentence; });
  button.type = "button";
  button.textContent = "Got it";
  button.onclick = () => {
    document.cookie = `${data.cookie}=1; max-age=31536000; path=/; SameSite=Strict`;
    setTriggerValue("read", true);
  };
  root.replaceChildren(list, button);
}
