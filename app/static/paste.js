// Takes an image from the clipboard, wherever on the page it is pasted; text is left alone.
export default function ({ data, setTriggerValue }) {
  const take = (event) => {
    const item = [...(event.clipboardData?.items ?? [])].find((one) => one.type.startsWith("image/"));
    const file = item?.getAsFile();
    if (!file) return;
    event.preventDefault();
    if (file.size > data.most) return setTriggerValue("pasted", "too large");
    const reader = new FileReader();
    reader.onload = () => setTriggerValue("pasted", reader.result);
    reader.readAsDataURL(file);
  };
  document.addEventListener("paste", take);
  return () => document.removeEventListener("paste", take);
}
