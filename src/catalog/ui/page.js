// The live page of the map: four views over the API, drawn again when the server says that what they show has changed.
"use strict";

const main = document.getElementById("main");
const live = document.getElementById("live");
const about = document.getElementById("about");
let filter = "";
let drawing = 0;

// An element with its children; text is never read as markup.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value != null) node.setAttribute(key, value);
  for (const child of children.flat()) if (child != null) node.append(child);
  return node;
}

const link = (href, text) => el("a", { href }, text);
const state = (name, text) => el("span", { class: name }, text == null ? name : text);
const tags = list => list.map(tag => el("span", { class: "tag" }, tag));
const route = name => encodeURIComponent(name);

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
  return answer.json();
}

function table(caption, heads, rows, empty) {
  if (!rows.length) return el("p", {}, empty);
  return el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, heads.map(head => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map(row => el("tr", {}, row.map(cell => el("td", {}, cell))))));
}

// Health as words and a colour, so that it can be read without either.
function health(counts) {
  const parts = [];
  for (const name of ["critical", "warning", "passing"])
    if (counts[name]) parts.push(state(name, `${counts[name]} ${name}`), " ");
  return parts.length ? parts : [state("", "no instances")];
}

function search(label) {
  const input = el("input", { type: "search", "aria-label": label, placeholder: label, value: filter, id: "search" });
  input.addEventListener("input", () => { filter = input.value; draw(); });
  return input;
}

const found = name => name.toLowerCase().includes(filter.toLowerCase());

const views = {
  async services() {
    const map = await get("/ui/overview");
    const rows = map.services.filter(s => found(s.name) || s.tags.some(found))
      .map(s => [link(`#/service/${route(s.name)}`, s.name), health(s), tags(s.tags)]);
    return [el("h2", {}, "Services"), search("Find a service or tag"),
      table(`${rows.length} of ${map.services.length}`, ["Service", "Health", "Tags"], rows, "No service is registered yet.")];
  },
  async service(name) {
    const list = (await get(`/v1/health/service/${route(name)}?stale`)) || [];
    const order = ["passing", "warning", "critical"];
    const rows = list.map(({ Node, Service, Checks }) => {
      const worst = Checks.reduce((a, c) => Math.max(a, order.indexOf(c.Status)), 0);
      const bad = Checks.filter(c => c.Status !== "passing");
      return [Service.ID, link(`#/node/${route(Node.Node)}`, Node.Node), `${Service.Address || Node.Address}:${Service.Port}`,
        state(order[worst]), bad.map(c => el("pre", {}, `${c.Name || c.CheckID}: ${c.Output || c.Status}`)), tags(Service.Tags || [])];
    });
    return [el("h2", {}, name),
      table(`${rows.length} instances`, ["Instance", "Node", "Address", "Health", "What is wrong", "Tags"], rows, "No instance of this service is registered.")];
  },
  async nodes() {
    const map = await get("/ui/overview");
    const rows = map.nodes.filter(n => found(n.name)).map(n => [link(`#/node/${route(n.name)}`, n.name), n.address, n.region || "-",
      n.alive == null ? "not a member" : state(n.alive ? "passing" : "critical", n.alive ? "ready" : "down"),
      n.leader ? el("strong", {}, "leader") : n.role || "-", n.availability || "-", health(n)]);
    return [el("h2", {}, "Nodes"), search("Find a node"),
      table(`${rows.length} of ${map.nodes.length}`, ["Node", "Address", "Region", "Status", "Role", "Availability", "Instances"], rows, "No node is known yet.")];
  },
  async node(name) {
    const [found, checks] = await Promise.all([get(`/v1/catalog/node/${route(name)}?stale`), get(`/v1/health/node/${route(name)}?stale`)]);
    if (!found) return [el("h2", {}, name), el("p", {}, "There is no such node.")];
    const services = Object.values(found.Services).map(s => [link(`#/service/${route(s.Service)}`, s.Service), s.ID, `${s.Address || found.Node.Address}:${s.Port}`, tags(s.Tags || [])]);
    const rows = (checks || []).map(c => [c.Name || c.CheckID, c.ServiceName || "the node", state(c.Status), el("pre", {}, c.Output || "")]);
    return [el("h2", {}, `${name} (${found.Node.Address})`),
      table("Instances", ["Service", "Instance", "Address", "Tags"], services, "No service runs here."),
      el("h2", {}, "Checks"), table("Checks", ["Check", "Of", "Health", "Output"], rows, "No check is registered here.")];
  },
  async regions() {
    const map = await get("/ui/overview");
    const rows = map.regions.map(r => [r.name, r.state, `${r.alive} of ${r.nodes} nodes`,
      r.lost ? state("critical", "lost") : r.nodes ? state("passing", "heard from") : "no node", r.failover.join(", ") || "by distance"]);
    return [el("h2", {}, "Regions"),
      table(`${rows.length} regions`, ["Region", "State", "Heard from", "Status", "Taken over by"], rows, "The configuration names no region.")];
  },
  async kv(path) {
    const up = path.includes("/") ? path.replace(/[^/]*\/?$/, "") : "";
    const head = [el("h2", {}, `/${path}`), path ? el("p", {}, link(`#/kv/${up.split("/").map(route).join("/")}`, "Up")) : null];
    const href = key => `#/kv/${key.split("/").map(route).join("/")}`;
    if (path && !path.endsWith("/")) {
      const entry = await get(`/v1/kv/${path.split("/").map(route).join("/")}?stale`);
      if (!entry) return [...head, el("p", {}, "There is no such key.")];
      const bytes = Uint8Array.from(atob(entry[0].Value || ""), c => c.charCodeAt(0));
      return [...head, el("pre", {}, new TextDecoder().decode(bytes)),
        el("p", {}, `${bytes.length} bytes, changed at index ${entry[0].ModifyIndex}` + (entry[0].Session ? `, locked by session ${entry[0].Session}` : ""))];
    }
    const keys = (await get(`/v1/kv/${path.split("/").map(route).join("/")}?keys&separator=/&stale`)) || [];
    return [...head, el("ul", {}, keys.filter(key => key !== path).map(key => el("li", {}, link(href(key), key.slice(path.length)))))];
  },
};

function place() {
  const [, name, ...rest] = (location.hash || "#/services").split("/");
  const view = Object.hasOwn(views, name) ? name : "services";
  return [view, rest.map(part => { try { return decodeURIComponent(part); } catch { return part; } }).join("/")];
}

// Draws the view of the address; keeps the keyboard where it was.
async function draw() {
  const turn = ++drawing;
  const [view, argument] = place();
  for (const a of document.querySelectorAll("nav a")) {
    const here = a.getAttribute("href").startsWith(`#/${view}`);
    here ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  }
  let content;
  try {
    content = await views[view](argument);
  } catch (error) {
    content = [el("p", { class: "bad", role: "alert" }, `The map could not be read: ${error.message}`)];
  }
  if (turn !== drawing) return;
  const focus = document.activeElement;
  const back = focus && main.contains(focus) ? (focus.id ? `#${focus.id}` : focus.getAttribute("href") && `a[href="${CSS.escape(focus.getAttribute("href"))}"]`) : null;
  const caret = focus && focus.selectionStart;
  main.replaceChildren(...content.filter(Boolean));
  const again = back && main.querySelector(back);
  if (again) { again.focus(); if (again.setSelectionRange && caret != null) again.setSelectionRange(caret, caret); }
}

function listen() {
  const events = new EventSource("/ui/events");
  events.addEventListener("map", event => {
    const map = JSON.parse(event.data);
    live.textContent = map.leader ? "live" : "live, no leader";
    about.textContent = `${map.node}, leader ${map.leader || "none"}, index ${map.index}`;
    draw();
  });
  events.onerror = () => { live.textContent = "connection lost, trying again"; };
}

addEventListener("hashchange", () => { filter = ""; draw().then(() => main.focus()); });
draw();
listen();
