// SPDX-License-Identifier: Apache-2.0
// Steps of time that a reader can slide and play through, for the pages "map" and "traffic". The page says how one step is shown and what
// happens where the reader stays; the names of its parts begin with its own word: word-player, word-slider, word-play, word-instants.

export function playback(word, { beat, step, settle, renew }) {
  const part = (name) => document.getElementById(`${word}-${name}`);
  const player = part("player");
  const slider = part("slider");
  if (!player || !slider) return;
  const button = part("play");
  const choices = () => document.querySelector(`#${word}-instants select`);
  let timer = 0;

  function pause() {
    clearInterval(timer);
    timer = 0;
    button.textContent = button.dataset.on;
  }

  function play() {
    button.textContent = button.dataset.off;
    timer = setInterval(async () => {
      const next = Number(slider.value) + 1;
      if (next <= Number(slider.max)) return step(next);
      pause();
      return settle();
    }, beat);
  }

  player.hidden = false;
  slider.addEventListener("input", () => step(Number(slider.value)));
  slider.addEventListener("change", settle);
  button.addEventListener("click", async () => {
    if (timer) {
      pause();
      return settle();
    }
    if (slider.value === slider.max) await step(0);
    return play();
  });
  part("instants").addEventListener("change", async (event) => {
    await step(event.target.selectedIndex);
    return settle();
  });
  document.addEventListener("mg:tick", () => {
    slider.max = choices().options.length - 1;
    renew(); // new values: the next step asks for them again
  });
}

// Shows the step that was reached in the words of its choice.
export function shown(word, index) {
  const select = document.querySelector(`#${word}-instants select`);
  const slider = document.getElementById(`${word}-slider`);
  const text = select.options[index].textContent;
  select.selectedIndex = index;
  slider.value = index;
  slider.setAttribute("aria-valuetext", text);
  return text;
}

// Takes parts of the page as the server wrote them for another address; false when there is no such page.
export async function renewed(address, parts) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of parts) {
    const now = fresh.getElementById(id);
    const old = document.getElementById(id);
    if (now && old) old.replaceChildren(...[...now.childNodes].map((node) => document.importNode(node, true)));
  }
  return true;
}
