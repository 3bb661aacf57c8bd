// What the page does without asking the server: the wipe, frames one by one, files that are dropped, copying.
"use strict";
const studio = {
  fill(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const controls = [...node.querySelectorAll("[data-value]")];
    for (const one of node.matches("[data-value]") ? [node, ...controls] : controls) one.value = one.dataset.value;
    for (const key of [node, ...node.querySelectorAll(".key")]) if (key.matches(".key")) studio.place(key);
  },

  // A key of a curve where the server has it, unless it is held.
  place(key) {
    if (key.matches(".held")) return;
    key.style.left = 100 * key.dataset.x + "%";
    key.style.top = 100 - 100 * key.dataset.y + "%";
  },

  toast(text) {
    const place = document.querySelector(".toast");
    place.textContent = text;
    place.classList.add("shown");
    clearTimeout(studio.timer);
    studio.timer = setTimeout(() => place.classList.remove("shown"), 3500);
  },

  async copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  },

  async send(label, files) {
    const said = label.querySelector(".drop-said");
    for (const file of files) {
      said.textContent = file.name + " …";
      label.classList.remove("refused");
      label.setAttribute("aria-busy", "true");
      const query = new URLSearchParams({ role: label.dataset.role, name: file.name });
      try {
        const answer = await fetch("/upload?" + query, { method: "POST", body: file });
        const text = await answer.text();
        if (!answer.ok) throw new Error(text.trim() || answer.statusText);
        said.textContent = JSON.parse(text).said;
      } catch (error) {
        said.textContent = error.message;
        label.classList.add("refused");
      }
      label.removeAttribute("aria-busy");
    }
  },

  show(stage, number) {
    const count = Number(stage.dataset.count);
    const frame = ((number % count) + count) % count;
    stage.querySelector(".after").src = `${stage.dataset.job}/frame/${frame}.png`;
    stage.querySelector(".before").src = `${stage.dataset.job}/content/${frame}.jpg`;
    stage.querySelector(".frame-range").value = frame;
    stage.querySelector(".frame-number").textContent = `${frame + 1} / ${count}`;
  },

  play(button) {
    const stage = button.closest(".frames");
    if (studio.playing) {
      clearInterval(studio.playing);
      studio.playing = null;
      button.textContent = button.dataset.play;
      return;
    }
    button.textContent = button.dataset.stop;
    studio.playing = setInterval(() => {
      const ready = [...stage.querySelectorAll("img")].every((one) => one.complete);
      if (ready && stage.isConnected) studio.show(stage, Number(stage.querySelector(".frame-range").value) + 1);
    }, 80);
  },
};

// Controls take the value that the server gives, whenever that changes.
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes" && change.target.matches(".key")) studio.place(change.target);
    else if (change.type === "attributes") change.target.value = change.target.dataset.value;
    else if (change.target.matches("select[data-value]")) change.target.value = change.target.dataset.value;
    else for (const added of change.addedNodes) studio.fill(added);
  }
}).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["data-value", "data-x", "data-y"] });

document.addEventListener("input", (event) => {
  const target = event.target;
  if (target.matches(".wipe-range")) {
    target.closest(".stage").querySelector(".wipe").style.setProperty("--wipe", target.value + "%");
  } else if (target.matches(".frame-range")) {
    studio.show(target.closest(".frames"), Number(target.value));
  } else if (target.matches(".difference")) {
    target.closest(".stage").querySelector(".wipe").classList.toggle("differs", target.checked);
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".copy")) studio.copy(button);
  else if (button.matches(".step")) {
    const stage = button.closest(".frames");
    studio.show(stage, Number(stage.querySelector(".frame-range").value) + Number(button.dataset.step));
  } else if (button.matches(".play")) studio.play(button);
  else if (button.matches(".mask-use")) studio.useMask(button.closest(".stage"));
});

// The mask: white where it is painted, on a canvas of the pixels of the still.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.(".masking")) return;
  const stage = event.target.closest(".stage");
  const canvas = stage.querySelector(".mask-canvas");
  stage.querySelector(".wipe").classList.toggle("masked", event.target.open);
  canvas.width = stage.querySelector(".after").naturalWidth || 1; // which clears it, too
  canvas.height = stage.querySelector(".after").naturalHeight || 1;
  if (event.target.open && canvas.dataset.mask) studio.stamp(canvas, canvas.dataset.mask); // the one that is used, to be mended
}, true);

studio.stamp = async (canvas, source) => {
  const image = new Image();
  image.src = source;
  try {
    await image.decode();
  } catch {
    return; // another still has taken the place of this one
  }
  const pen = canvas.getContext("2d");
  pen.globalCompositeOperation = "source-over";
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
};

// What stands out in a box that was drawn, added to the mask.
studio.cut = async (canvas, from, to) => {
  const share = (one, other, all) => [Math.min(one, other) / all, Math.abs(one - other) / all];
  const [x, w] = share(from.x, to.x, canvas.width);
  const [y, h] = share(from.y, to.y, canvas.height);
  const said = canvas.closest(".stage").querySelector(".mask-said");
  canvas.setAttribute("aria-busy", "true");
  const answer = await fetch("/cut?" + new URLSearchParams({ x, y, w, h }), { method: "POST" });
  said.textContent = answer.ok ? "" : (await answer.text()).trim();
  if (answer.ok) {
    const source = URL.createObjectURL(await answer.blob());
    await studio.stamp(canvas, source);
    URL.revokeObjectURL(source);
  }
  canvas.removeAttribute("aria-busy");
};

studio.draw = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  const at = { x: ((event.clientX - box.x) / box.width) * canvas.width, y: ((event.clientY - box.y) / box.height) * canvas.height };
  const tool = document.querySelector(".mask-tool").value;
  const pen = canvas.getContext("2d");
  const from = studio.last || at;
  pen.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  pen.fillStyle = pen.strokeStyle = "#fff";
  if (tool === "box" || tool === "cut") {
    const start = (studio.first ||= at);
    pen.putImageData(studio.before, 0, 0);
    pen.lineWidth = canvas.width / 128;
    pen[tool === "box" ? "fillRect" : "strokeRect"](Math.min(start.x, at.x), Math.min(start.y, at.y), Math.abs(at.x - start.x), Math.abs(at.y - start.y));
  } else {
    pen.lineCap = "round";
    pen.lineWidth = Number(document.querySelector(".mask-size").value) * (canvas.width / 256);
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(at.x, at.y);
    pen.stroke();
  }
  studio.last = at;
};

document.addEventListener("pointerdown", (event) => {
  if (!event.target.matches(".mask-canvas")) return;
  event.preventDefault();
  event.target.setPointerCapture(event.pointerId);
  studio.first = studio.last = null;
  studio.before = event.target.getContext("2d").getImageData(0, 0, event.target.width, event.target.height);
  studio.drawing = true;
  studio.draw(event.target, event);
});
document.addEventListener("pointermove", (event) => {
  if (studio.drawing && event.target.matches(".mask-canvas")) studio.draw(event.target, event);
});
for (const kind of ["pointerup", "pointercancel"]) {
  document.addEventListener(kind, (event) => {
    if (!studio.drawing) return;
    studio.drawing = false;
    if (!event.target.matches?.(".mask-canvas") || document.querySelector(".mask-tool").value !== "cut") return;
    event.target.getContext("2d").putImageData(studio.before, 0, 0); // without the outline of the box
    if (kind === "pointerup" && studio.first) studio.cut(event.target, studio.first, studio.last);
  });
}

studio.useMask = async (stage) => {
  const drawn = stage.querySelector(".mask-canvas");
  const mask = document.createElement("canvas");
  [mask.width, mask.height] = [drawn.width, drawn.height];
  const pen = mask.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, mask.width, mask.height);
  pen.drawImage(drawn, 0, 0);
  const blob = await new Promise((done) => mask.toBlob(done, "image/png"));
  const answer = await fetch("/upload?role=mask&name=mask.png", { method: "POST", body: blob });
  stage.querySelector(".mask-said").textContent = answer.ok ? "" : (await answer.text()).trim();
  if (answer.ok) stage.querySelector(".masking").open = false;
};

// The curve: keys are dragged, moved with arrow keys, added by a double click.
studio.at = (area, event) => {
  const box = area.getBoundingClientRect();
  const share = (length, all) => Math.min(Math.max(length / all, 0), 1);
  return { x: share(event.clientX - box.x, box.width), y: 1 - share(event.clientY - box.y, box.height) };
};
studio.tell = (node, kind, detail) => node.dispatchEvent(new CustomEvent(kind, { detail }));

document.addEventListener("pointerdown", (event) => {
  if (!event.target.matches(".key")) return;
  event.preventDefault();
  event.target.focus();
  event.target.setPointerCapture(event.pointerId);
  event.target.classList.add("held");
});
document.addEventListener("pointermove", (event) => {
  const key = event.target;
  if (!key.matches?.(".key.held")) return;
  const at = studio.at(key.closest(".curve-area"), event);
  key.style.left = 100 * at.x + "%";
  key.style.top = 100 - 100 * at.y + "%";
  studio.tell(key, "moved", at);
});
for (const kind of ["pointerup", "pointercancel"]) {
  document.addEventListener(kind, (event) => {
    if (!event.target.matches?.(".key.held")) return;
    event.target.classList.remove("held");
    setTimeout(() => studio.place(event.target), 400); // where the server has put it by then
  });
}
document.addEventListener("dblclick", (event) => {
  if (event.target.matches(".curve-area")) studio.tell(event.target, "added", studio.at(event.target, event));
});
document.addEventListener("keydown", (event) => {
  const key = event.target;
  if (!key.matches?.(".key")) return;
  const far = event.shiftKey ? 10 : 1;
  const by = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowDown: [0, -far], ArrowUp: [0, far] }[event.key];
  if (by) {
    studio.tell(key, "moved", { x: Number(key.dataset.x) + by[0] / 100, y: Number(key.dataset.y) + by[1] / 100 });
  } else if (event.key === "Home" || event.key === "End") {
    studio.tell(key, "moved", { x: Number(key.dataset.x), y: event.key === "End" ? 1 : 0 });
  } else if (event.key === "Delete" || event.key === "Backspace") studio.tell(key, "removed");
  else if (event.key === "Enter" || event.key === " ") studio.tell(key, "eased");
  else return;
  event.preventDefault();
});

document.addEventListener("change", (event) => {
  const label = event.target.closest(".drop");
  if (!label || event.target.type !== "file") return;
  studio.send(label, [...event.target.files]);
  event.target.value = "";
});

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.querySelectorAll(".drop.over").forEach((one) => one.classList.remove("over"));
    event.target.closest?.(".drop")?.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.target.closest?.(".drop")?.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault(); // a file that misses is not opened instead of the page
  const label = event.target.closest?.(".drop") || document.querySelector('.drop[data-role="content"]');
  label.classList.remove("over");
  if (event.dataTransfer.files.length) studio.send(label, [...event.dataTransfer.files]);
});
