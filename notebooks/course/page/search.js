// Sections of all pages, [file, label of the page, id, heading, text with it], that hold every word.
const sections = JSON.parse(document.getElementById("texts").textContent);
const form = document.querySelector("form");
const field = document.getElementById("words");
const MOST = 50;

function find(words) {
  return sections.filter(section => {
    const text = section[4].toLowerCase();
    return words.every(word => text.includes(word));
  });
}

function makeItem([file, label, id, heading, text], word) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `${file}#${encodeURIComponent(id)}`;
  link.textContent = `${label}: ${heading}`;
  const from = Math.max(0, text.toLowerCase().indexOf(word) - 60);
  const around = document.createElement("p");
  around.textContent = (from ? "… " : "") + text.slice(from, from + 160) + " …";
  item.append(link, around);
  return item;
}

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? find(words) : [];
  const items = found.slice(0, MOST).map(section => makeItem(section, words[0]));
  document.getElementById("found").replaceChildren(...items);
  const more = found.length > MOST ? `, the first ${MOST} of them here` : "";
  document.getElementById("count").textContent =
    words.length ? `${found.length} sections${more}` : "";
}

form.addEventListener("submit", event => event.preventDefault());
field.addEventListener("input", show);
form.hidden = false;
show();
