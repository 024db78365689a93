// What only a browser can do: files that are dropped or pasted, the camera, and the screen. All end in one uploader.
window.lorgnette = {
  give(uploader, files) {
    if (files.length) getElement(uploader).$refs.qRef.addFiles(files);
  },
  watch(uploader) {
    const named = (files) => Array.from(files).map((file) => file);
    document.addEventListener("paste", (event) => {
      const files = named(event.clipboardData?.files || []);
      if (files.length) { event.preventDefault(); this.give(uploader, files); }
    });
    const ours = (event) => Array.from(event.dataTransfer?.types || []).includes("Files");
    document.addEventListener("dragover", (event) => {
      if (ours(event)) { event.preventDefault(); document.body.classList.add("lo-dropping"); }
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("lo-dropping");
    });
    document.addEventListener("drop", (event) => {
      document.body.classList.remove("lo-dropping");
      if (ours(event)) { event.preventDefault(); this.give(uploader, named(event.dataTransfer.files)); }
    });
    document.body.dataset.ready = "true";
  },
  choose(uploader) { getElement(uploader).$refs.qRef.pickFiles(); },
  async snap(uploader, what, words) {
    const media = navigator.mediaDevices;
    let stream;
    try {
      stream = what === "screen" ? await media.getDisplayMedia({ video: true }) : await media.getUserMedia({ video: true });
    } catch (error) { return String(error.message || error.name || error); }
    const video = document.createElement("video");
    video.srcObject = stream; video.muted = true; video.playsInline = true;
    const end = () => stream.getTracks().forEach((track) => track.stop());
    await video.play();
    if (what === "camera" && !(await this.looked(video, words))) { end(); return ""; }
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    end();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    this.give(uploader, [new File([blob], `${what}.png`, { type: "image/png" })]);
    return "";
  },
  looked(video, words) {
    return new Promise((done) => {
      const over = document.createElement("div");
      over.className = "lo-camera";
      const button = (text, value) => {
        const made = document.createElement("button");
        made.textContent = text;
        made.onclick = () => { over.remove(); done(value); };
        return made;
      };
      const take = button(words[0], true);
      over.append(video, take, button(words[1], false));
      document.body.append(over);
      take.focus();
    });
  },
  keep(name, value) {
    const url = new URL(location.href);
    url.searchParams.set(name, value);
    history.replaceState(history.state, "", url);
  },
  session(id) {
    const url = new URL(location.href);
    if (id) url.searchParams.set("session", id); else url.searchParams.delete("session");
    url.searchParams.delete("again");
    history.replaceState(history.state, "", url);
  },
};
