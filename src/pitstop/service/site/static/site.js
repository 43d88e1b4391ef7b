// What the pages do beyond plain HTML: keys, local time, zooming, PNG. Everything works without this file.
"use strict";
(() => {
  const root = document.documentElement;
  const local = root.dataset.clock === "local";
  const showTimes = (within) => {
    for (const item of within.querySelectorAll("time[data-instant]")) {
      const moment = new Date(item.dateTime);
      item.title = local ? `${moment.toISOString().slice(0, 16).replace("T", " ")} UTC` : moment.toLocaleString();
      if (local) item.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    }
  };
  showTimes(document);

  // "/" and Ctrl-K (or Cmd-K) lead to the search, Escape out of it, j and k through lists of rows.
  const find = document.getElementById("find");
  const hits = document.getElementById("hits");
  const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  document.addEventListener("keydown", (event) => {
    const command = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
    if (find && (command || (event.key === "/" && !typing()))) {
      event.preventDefault();
      find.focus();
      find.select();
    } else if (event.key === "Escape" && hits && hits.childElementCount) {
      event.preventDefault();
      hits.replaceChildren();
      find.focus();
    } else if ((event.key === "j" || event.key === "k") && !typing() && !event.ctrlKey && !event.metaKey) {
      const links = [...document.querySelectorAll("main [data-row]")];
      const place = links.indexOf(document.activeElement);
      const next = links[place < 0 ? 0 : place + (event.key === "j" ? 1 : -1)];
      if (next) next.focus();
    }
  });
  if (hits) {
    document.addEventListener("click", (event) => {
      if (!event.target.closest(".find")) hits.replaceChildren();
    });
  }

  // A picture as PNG, drawn from its SVG file at twice its size.
  const save = async (link) => {
    const text = await (await fetch(link.href)).text();
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    const [, , width, height] = /viewBox="([^"]+)"/.exec(text)[1].split(" ").map(Number);
    canvas.width = width * 2;
    canvas.height = height * 2;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const away = document.createElement("a");
    away.href = canvas.toDataURL("image/png");
    away.download = link.dataset.png;
    away.click();
  };
  for (const link of document.querySelectorAll("a[data-png]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "PNG";
    button.addEventListener("click", () => save(link));
    link.after(button);
  }

  // Zooming: uPlot is fetched when it is asked for. What is dragged becomes the range in the address.
  const load = (source) =>
    new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = source;
      script.onload = done;
      script.onerror = failed;
      document.head.append(script);
    });
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const zoom = async (place) => {
    const data = await (await fetch(place.dataset.days)).json();
    if (!window.uPlot) await load(place.dataset.uplot);
    const names = Object.keys(data).filter((name) => /^(realised|estimated)_/.test(name));
    const scale = data.by_rows ? 1 : 1e6;
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule") } };
    const styles = { realised: ["--pitstop", []], estimated: ["--data", [5, 3]] };
    const plot = new window.uPlot(
      {
        width: place.clientWidth,
        height: 280,
        tzDate: (stamp) => (local ? new Date(stamp * 1e3) : window.uPlot.tzDate(new Date(stamp * 1e3), "Etc/UTC")),
        scales: { x: { time: !data.by_rows } },
        axes: [axis, axis],
        cursor: { drag: { setScale: true } },
        series: [
          {},
          ...names.map((name) => {
            const [stroke, dash] = styles[name.split("_")[0]];
            return { label: name.replaceAll("_", " "), stroke: colour(stroke), dash, width: 1.5, spanGaps: true };
          }),
        ],
        hooks: {
          setSelect: [
            (chart) => {
              if (chart.select.width < 8) return;
              const from = chart.posToVal(chart.select.left, "x") * scale;
              const to = chart.posToVal(chart.select.left + chart.select.width, "x") * scale;
              const inside = data.periods.filter((item, index) => {
                const end = (data.periods[index + 1] || { start: Infinity }).start;
                return end > from && item.start < to;
              });
              if (!inside.length) return;
              const address = new URL(location.href);
              address.searchParams.set("from", inside[0].name);
              address.searchParams.set("to", inside[inside.length - 1].name);
              address.hash = "charts";
              const link = place.querySelector("a.range") || document.createElement("a");
              link.className = "range button";
              link.href = address;
              link.textContent = `Show ${inside[0].name} to ${inside[inside.length - 1].name} on the whole page`;
              place.append(link);
            },
          ],
        },
      },
      [data.at.map((stamp) => stamp / scale), ...names.map((name) => data[name])],
      place,
    );
    addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: 280 }));
  };
  for (const place of document.querySelectorAll("[data-days]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Zoom by ${place.dataset.unit}`;
    button.addEventListener("click", async () => {
      button.remove();
      await zoom(place);
    });
    place.append(button);
  }

  // Copying a value, where the clipboard may be used.
  for (const item of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(item.dataset.copy);
      button.textContent = "copied";
    });
    item.after(button);
  }
})();
