// Keys for the labelling queue. Everything here can be done with the form's own buttons, too.
const form = document.querySelector(".labelling");
const items = [...document.querySelectorAll(".rubric-item")];
let current = 0;

document.documentElement.classList.add("has-keys");
for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;
if (items.length) look(0);

function look(place) {
  current = Math.max(0, Math.min(place, items.length - 1));
  items.forEach((item, number) => item.classList.toggle("is-current", number === current));
  const chosen = items[current].querySelector("input:checked") || items[current].querySelector("input");
  chosen.focus();
}

function answer(value) {
  items[current].querySelector(`input[value="${value}"]`).checked = true;
  if (current < items.length - 1) look(current + 1);
  else form.querySelector("[data-save]").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const isWriting = event.target.matches("textarea, input:not([type=radio])");
  if (isWriting) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const button = [...document.querySelectorAll("[data-key]")].find((found) => found.dataset.key === event.key);
  if (button) button.click();
  else if (event.key === "c" && form) form.querySelector("textarea").focus();
  else if (items.length && (event.key === "y" || event.key === "n")) answer(event.key);
  else if (items.length && event.key === "j") look(current + 1);
  else if (items.length && event.key === "k") look(current - 1);
  else return;
  event.preventDefault();
});
