// The live page of the map: views over the API, drawn again when the server says that what they show has changed.
"use strict";

const main = document.getElementById("main");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const about = document.getElementById("about");
// Rows of a table that are drawn; a search finds the others.
const ROWS = 500;
const WORST = ["critical", "warning", "passing"];
const MARK = { passing: "●", warning: "▲", critical: "■" };
let filter = "";
let heard = 0;
let kept = null;
let token = sessionStorage.getItem("token") || "";

// An element with its children; text is never read as markup.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value != null) node.setAttribute(key, value);
  for (const child of children.flat(Infinity)) if (child != null) node.append(child);
  return node;
}

const link = (href, text) => el("a", { href }, text);
const mark = (state, text) => el("span", { class: `mark ${state}` }, `${MARK[state]} ${text == null ? state : text}`);
const tags = list => el("span", { class: "wrap" }, (list || []).map(tag => [el("span", { class: "tag" }, tag), " "]));
const soft = text => el("span", { class: "soft" }, text);
const address = text => el("span", { class: "address" }, text);
const route = name => encodeURIComponent(name);
const toService = name => link(`#/service/${route(name)}`, name);
const toNode = name => link(`#/node/${route(name)}`, name);
const count = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;
const found = name => name.toLowerCase().includes(filter.toLowerCase());
const worst = one => WORST.find(state => one[state]) || "passing";
const byTrouble = (a, b) => WORST.indexOf(worst(a)) - WORST.indexOf(worst(b)) || a.name.localeCompare(b.name);

class Refused extends Error {}

async function get(path) {
  const answer = await fetch(path, { headers: token ? { "X-Consul-Token": token } : {} });
  if (answer.status === 404) return null;
  if (answer.status === 401 || answer.status === 403) throw new Refused(await answer.text());
  if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
  return answer.json();
}

// What all views begin with; read again when the map has changed.
async function overview() {
  if (!kept || kept.heard !== heard) {
    const at = heard;
    kept = { heard: at, map: await get("/ui/overview") };
  }
  return kept.map;
}

function table(caption, heads, rows, empty) {
  if (!rows.length) return el("p", { class: "soft" }, empty);
  const more = rows.length > ROWS ? `; the first ${ROWS} are shown, a search finds the others` : "";
  return el("div", { class: "sheet" }, el("table", {}, el("caption", {}, caption + more),
    el("thead", {}, el("tr", {}, heads.map(head => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.slice(0, ROWS).map(row => el("tr", {}, row.map(cell => el("td", {}, cell)))))));
}

// Health as words, a shape and a colour, so that it can be read without any of them.
function health(counts) {
  const parts = WORST.filter(state => counts[state]).map(state => [mark(state, `${counts[state]} ${state}`), " "]);
  return parts.length ? parts : [soft("no instances")];
}

function search(label) {
  const input = el("input", { type: "search", "aria-label": label, placeholder: label, value: filter, id: "search" });
  input.addEventListener("input", () => { filter = input.value; draw(); });
  return input;
}

function crumbs(href, text) {
  return el("p", { class: "crumbs" }, link(href, text), " /");
}

function status(node) {
  if (node.alive == null) return soft("not watched");
  return node.alive ? mark("passing", "ready") : mark("critical", "down");
}

const leader = node => node.leader ? el("span", { class: "leader" }, "leader") : null;

// How long ago, in the largest unit that says something.
function ago(since) {
  const seconds = Math.max(0, (Date.now() - since) / 1000);
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return "under a minute";
}

// The regions that are known, and those that only nodes speak of.
function regionsOf(map) {
  const named = map.regions.map(region => region.name);
  const others = [...new Set(map.nodes.map(node => node.region))].filter(name => !named.includes(name));
  const rest = others.map(name => ({ name, state: "", lost: false, failover: [] }));
  return [...map.regions, ...rest].map(region => {
    const nodes = map.nodes.filter(node => node.region === region.name);
    const sum = state => nodes.reduce((n, node) => n + node[state], 0);
    return { ...region, nodes, passing: sum("passing"), warning: sum("warning"), critical: sum("critical") };
  });
}

// As the nodes themselves say; a capacity of 0 is no limit.
function sessions(load) {
  return load.sessions == null ? soft("not known") : `${load.sessions}${load.capacity ? ` of ${load.capacity}` : ""}`;
}

function regionTable(map) {
  const standing = region => region.lost ? [mark("critical", region.since ? `lost for ${ago(region.since)}` : "lost"), region.cause ? el("pre", {}, region.cause) : null]
    : region.nodes.some(node => node.alive) ? mark("passing", "heard from") : soft("no node watched");
  const rows = regionsOf(map).map(region => [region.name || soft("no region"), standing(region),
    el("span", { class: "wrap" }, region.nodes.map(node => [el("span", { class: "one" },
      el("span", { class: node.alive === false ? "critical" : "passing" }, node.alive === false ? "■ " : "● "), toNode(node.name), leader(node)), " "])),
    health(region), sessions(region), region.state || "-", region.failover.join(", ") || soft("the nearest")]);
  return table(count(rows.length, "region"), ["Region", "Status", "Nodes", "Instances", "Sessions", "State", "Taken over by"], rows, "No region is known yet.");
}

function tiles(map) {
  const regions = regionsOf(map), members = map.nodes.filter(node => node.alive != null);
  const lostOnes = regions.filter(region => region.lost).length, ready = members.filter(node => node.alive).length;
  const ill = map.services.filter(service => worst(service) !== "passing");
  const sum = state => map.services.reduce((n, service) => n + service[state], 0);
  const all = sum("passing") + sum("warning") + sum("critical");
  const tile = (href, state, big, small) => el("li", {}, el("a", { href, class: state }, el("b", {}, big), el("span", {}, small)));
  return el("ul", { class: "tiles" },
    tile("#/services", ill.length ? worst(ill.sort(byTrouble)[0]) : "passing", `${map.services.length - ill.length} of ${map.services.length}`, "services without trouble"),
    tile("#/services", sum("critical") ? "critical" : sum("warning") ? "warning" : "passing", `${sum("passing")} of ${all}`, "instances passing"),
    tile("#/nodes", ready < members.length || !map.leader ? "critical" : "passing", `${ready} of ${members.length}`,
      map.leader ? `nodes ready, ${map.leader} leads` : "nodes ready, no leader"),
    tile("#/regions", lostOnes ? "critical" : "passing", `${regions.length - lostOnes} of ${regions.length}`, "regions not lost"));
}

function headline(map) {
  const tell = (n, state) => n ? `${count(n, "instance")} ${state}` : null;
  const sum = state => map.services.reduce((n, service) => n + service[state], 0);
  const parts = [map.leader ? null : "no leader", ...map.regions.filter(region => region.lost).map(region => `${region.name} is lost`),
    ...map.nodes.filter(node => node.alive === false).map(node => `${node.name} is down`), tell(sum("critical"), "critical"), tell(sum("warning"), "in warning")];
  return parts.filter(Boolean).join(", ");
}

const views = {
  async overview() {
    const map = await overview();
    const rows = map.trouble.map(one => [one.service ? toService(one.service) : soft("the node"), one.instance || "", toNode(one.node), mark(one.status),
      el("span", { class: "number" }, one.since ? ago(one.since) : "-"), el("pre", {}, `${one.check}${one.output ? `: ${one.output}` : ""}`)]);
    const what = headline(map);
    const wrong = table(map.troubles > rows.length ? `the first ${rows.length} of ${map.troubles} checks` : count(map.troubles, "check"),
      ["Service", "Instance", "Node", "Health", "For", "What is wrong"], rows, "");
    return [el("h2", { class: what ? "critical" : "passing" }, what || "All is well"), tiles(map),
      rows.length ? [el("h3", {}, "What is wrong"), wrong] : [], el("h3", {}, "Regions"), regionTable(map)];
  },
  async services() {
    const map = await overview();
    const rows = map.services.filter(s => found(s.name) || s.tags.some(found)).sort(byTrouble).map(s => [toService(s.name), health(s), tags(s.tags)]);
    return [el("h2", {}, "Services"), search("Find a service or tag"),
      table(`${rows.length} of ${count(map.services.length, "service")}`, ["Service", "Instances", "Tags"], rows,
        filter ? "No service and no tag is called so." : "No service is registered yet.")];
  },
  async service(name) {
    const [map, list] = await Promise.all([overview(), get(`/v1/health/service/${route(name)}?stale`)]);
    // What the nodes found that check for all is no check of the instance.
    const foundOut = (node, id) => map.trouble.filter(one => one.node === node && one.instance === id && one.check === "service check")
      .map(one => ({ Status: one.status, Name: one.check, Output: one.output }));
    const region = node => (map.nodes.find(one => one.name === node) || {}).region || "-";
    const rows = (list || []).map(({ Node, Service, Checks: own }) => {
      const Checks = [...own, ...foundOut(Node.Node, Service.ID)];
      const state = WORST.find(status => Checks.some(check => check.Status === status)) || "passing";
      const bad = Checks.filter(check => check.Status !== "passing");
      return { name: Service.ID, [state]: 1, row: [Service.ID, mark(state), toNode(Node.Node), region(Node.Node), address(`${Service.Address || Node.Address}:${Service.Port}`),
        tags(Service.Tags), bad.map(check => el("pre", {}, `${check.Name || check.CheckID}: ${check.Output || check.Status}`))] };
    });
    return [crumbs("#/services", "Services"), el("h2", {}, name),
      table(count(rows.length, "instance"), ["Instance", "Health", "Node", "Region", "Address", "Tags", "What is wrong"], rows.sort(byTrouble).map(one => one.row), "No instance of this service is registered.")];
  },
  async nodes() {
    const map = await overview();
    const rows = map.nodes.filter(n => found(n.name) || found(n.region)).map(n => [[toNode(n.name), leader(n)], status(n), n.region || "-", address(n.address),
      n.role || "-", n.availability || "-", health(n)]);
    return [el("h2", {}, "Nodes"), search("Find a node or region"),
      table(`${rows.length} of ${count(map.nodes.length, "node")}`, ["Node", "Status", "Region", "Address", "Role", "Availability", "Instances"], rows,
        filter ? "No node and no region is called so." : "No node is known yet.")];
  },
  async node(name) {
    const [map, node, checks] = await Promise.all([overview(), get(`/v1/catalog/node/${route(name)}?stale`), get(`/v1/health/node/${route(name)}?stale`)]);
    if (!node) return [crumbs("#/nodes", "Nodes"), el("h2", {}, name), el("p", {}, "There is no such node.")];
    const one = map.nodes.find(n => n.name === name) || { name };
    const of = id => (checks || []).filter(check => check.ServiceID === id || !check.ServiceID);
    const state = id => WORST.find(status => of(id).some(check => check.Status === status)) || "passing";
    const services = Object.values(node.Services).map(s => ({ name: s.ID, [state(s.ID)]: 1, row:
      [s.ID, mark(state(s.ID)), toService(s.Service), address(`${s.Address || node.Node.Address}:${s.Port}`), tags(s.Tags)] }));
    const rows = (checks || []).map(c => ({ name: c.CheckID, [c.Status]: 1, row: [c.Name || c.CheckID, mark(c.Status), c.ServiceID || soft("the node"), el("pre", {}, c.Output || "")] }));
    return [crumbs("#/nodes", "Nodes"), el("h2", {}, name, leader(one)),
      el("p", {}, status(one), " ", [one.region, node.Node.Address, one.role, one.availability].filter(Boolean).join(", ")),
      el("h3", {}, "Instances"), table(count(services.length, "instance"), ["Instance", "Health", "Service", "Address", "Tags"], services.sort(byTrouble).map(s => s.row), "No service runs here."),
      el("h3", {}, "Checks"), table(count(rows.length, "check"), ["Check", "Health", "Of", "Output"], rows.sort(byTrouble).map(c => c.row), "No check is registered here.")];
  },
  async regions() {
    return [el("h2", {}, "Regions"), regionTable(await overview())];
  },
  async addresses() {
    const map = await overview();
    const rows = map.vips.map(one => [one.Name, one.Held ? one.Addresses.map(text => [address(text), " "]) : soft("not here"), toNode(one.Node),
      one.State === "MASTER" ? mark("passing", one.State) : one.State === "FAULT" ? mark("critical", one.State) : one.State,
      el("span", { class: "number" }, String(one.Priority)), ago(one.Since), one.Cause]);
    return [el("h2", {}, "Addresses"), table(count(rows.length, "virtual router"), ["Name", "Holds", "Node", "State", "Priority", "For", "Why"], rows,
      "No node has addresses that move.")];
  },
  async dns() {
    const [map, all] = await Promise.all([overview(), get("/v1/isobar/dns")]);
    const lostOnes = new Set(map.regions.filter(region => region.lost).map(region => region.name));
    const percent = part => `${Math.round(part * 100)}%`;
    const number = n => el("span", { class: "number" }, n.toLocaleString());
    const state = (record, one) => one.Why === "" ? mark("passing", "answers")
      : one.Sheds > 0 ? mark("warning", `sheds ${percent(one.Sheds)} of its clients`)
        : record.LastResort && one.Unhealthy ? mark("critical", "last resort") : mark(one.Healthy ? "warning" : "critical", "not named");
    const head = record => [[record.Name, el("div", { class: "soft" }, `${record.Policy}, TTL ${record.TTL}`)], toService(record.Service)];
    const row = record => (one, n) => [...(n ? [null, null] : head(record)), one.Region || soft("no region"), number(one.Answers),
      number(Math.round(one.PerSecond)), `${one.Healthy} of ${one.Healthy + one.Unhealthy}`, one.Load ? percent(one.Load) : soft("-"),
      [state(record, one), " ", soft(lostOnes.has(one.Region) ? "the region is lost" : one.Why)]];
    const none = record => [[...head(record), soft("none"), number(0), number(0), "0 of 0", soft("-"), mark("critical", "no instance is registered")]];
    const sheet = responder => {
      const records = responder.Records.filter(record => found(record.Name) || found(record.Service));
      const rows = records.flatMap(record => record.Regions.length ? record.Regions.map(row(record)) : none(record));
      const zones = responder.Zones.map(zone => `${zone.Name} (${count(zone.Names, "name")})`).join(", ");
      return [el("h3", {}, responder.Name), el("p", { class: "soft" }, zones ? `Zones: ${zones}` : "It has no zones."),
        table(`${records.length} of ${count(responder.Records.length + responder.More, "record")} from the map; answers of this node since it started`,
          ["Record", "Service", "Region", "Answers", "A second", "Healthy", "Load", "State"], rows, filter ? "No record and no service is called so." : "No record comes from the map.")];
    };
    return [el("h2", {}, "DNS"), all && all.length ? [search("Find a record or service"), all.map(sheet)] : el("p", { class: "soft" }, "No DNS responder runs on this node.")];
  },
  async kv(path) {
    const href = key => `#/kv/${key.split("/").map(route).join("/")}`;
    const steps = path.split("/").filter(Boolean);
    const step = (name, n) => [link(href(`${steps.slice(0, n + 1).join("/")}/`), name), " / "];
    const head = [path ? el("p", { class: "crumbs" }, link("#/kv/", "Key/value"), " / ", steps.slice(0, -1).map(step)) : null,
      el("h2", {}, steps.length ? steps.at(-1) + (path.endsWith("/") ? "/" : "") : "Key/value")];
    const at = `/v1/kv/${path.split("/").map(route).join("/")}`;
    if (path && !path.endsWith("/")) {
      const entry = await get(`${at}?stale`);
      if (!entry) return [...head, el("p", {}, "There is no such key.")];
      const bytes = Uint8Array.from(atob(entry[0].Value || ""), c => c.charCodeAt(0));
      return [...head, el("div", { class: "sheet value" }, el("pre", {}, new TextDecoder().decode(bytes))),
        el("p", { class: "soft" }, `${count(bytes.length, "byte")}, changed at index ${entry[0].ModifyIndex}` + (entry[0].Session ? `, locked by session ${entry[0].Session}` : ""))];
    }
    const keys = ((await get(`${at}?keys&separator=/&stale`)) || []).filter(key => key !== path);
    const rows = keys.filter(found).map(key => [link(href(key), key.slice(path.length)), key.endsWith("/") ? soft("folder") : "value"]);
    return [...head, search("Find a key"), table(`${rows.length} of ${count(keys.length, "key")}`, ["Key", "Kind"], rows, filter ? "No key here is called so." : "There is no key here.")];
  },
};

function place() {
  const [, name, ...rest] = (location.hash || "#/overview").split("/");
  const view = Object.hasOwn(views, name) ? name : "overview";
  return [view, rest.map(part => { try { return decodeURIComponent(part); } catch { return part; } }).join("/")];
}

// Makes `from` what `to` is and touches only what differs: what is selected or has the focus stays.
function patch(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== Node.ELEMENT_NODE || from.nodeName !== to.nodeName) return from.replaceWith(to);
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  patchChildren(from, [...to.childNodes]);
}

function patchChildren(from, wanted) {
  const there = [...from.childNodes];
  wanted.forEach((node, n) => n < there.length ? patch(there[n], node) : from.append(node));
  there.slice(wanted.length).forEach(node => node.remove());
}

function show(content, here) {
  if (main.dataset.shown !== here) {
    main.dataset.shown = here;
    return main.replaceChildren(...content);
  }
  const focus = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
  patchChildren(main, content);
  // Rows may have moved: the focus follows what it was on.
  if (focus && document.activeElement.getAttribute("href") !== focus) main.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
}

// Asks for what this node wants to see before it shows anything.
function ask(why) {
  const input = el("input", { type: "password", "aria-label": "Token", placeholder: "Token", autocomplete: "off" });
  input.addEventListener("change", () => {
    token = input.value;
    sessionStorage.setItem("token", token);
    listen();
    draw();
  });
  return [el("h2", {}, "This node asks for a token"), el("p", { class: "soft" }, why), input];
}

let drawing = false, again = false, later = 0;
const COUNTED_MS = 2000;

async function draw() {
  if (drawing) { again = true; return; }
  drawing = true;
  const [view, argument] = place(), here = `${view}/${argument}`;
  const section = { service: "services", node: "nodes" }[view] || view;
  for (const a of document.querySelectorAll("nav a")) {
    const current = a.getAttribute("href").replace("#/", "").replace("/", "") === section;
    current ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  }
  let content = null;
  try {
    content = await views[view](argument);
  } catch (error) {
    if (error instanceof Refused) content = ask(error.message);
    // What stands there is better than nothing.
    else if (main.dataset.shown !== here) content = [el("p", { class: "critical", role: "alert" }, `The map could not be read: ${error.message}`)];
  }
  if (content && here === place().join("/")) show(content.flat(Infinity).filter(Boolean), here);
  if (kept) document.title = `${headline(kept.map) || "All is well"} - Isobar`;
  drawing = false;
  // Answers are counted without a change of the map.
  clearTimeout(later);
  if (view === "dns") later = setTimeout(draw, COUNTED_MS);
  if (again) { again = false; draw(); }
}

let events = null, quiet = 0;
// Twice the time after which the server says that it is there still, and some.
const QUIET_MS = 35000;

function isThere() {
  lost.hidden = true;
  live.className = "on";
  clearTimeout(quiet);
  quiet = setTimeout(isLost, QUIET_MS);
}

function isLost() {
  clearTimeout(quiet);
  live.className = "";
  live.textContent = "not live";
  if (lost.hidden) lost.textContent = `Connection lost at ${new Date().toLocaleTimeString()}: what stands here is from before. Trying again.`;
  lost.hidden = false;
}

function listen() {
  if (events) events.close();
  events = new EventSource(`/ui/events${token ? `?token=${route(token)}` : ""}`);
  events.addEventListener("map", event => {
    const map = JSON.parse(event.data);
    isThere();
    live.textContent = map.leader ? `live, ${map.leader} leads` : "live, no leader";
    about.textContent = `Seen from ${map.node} at index ${map.index}`;
    heard += 1;
    draw();
  });
  events.addEventListener("still", isThere);
  events.onerror = () => {
    if (main.dataset.shown) isLost();
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
}

addEventListener("hashchange", () => { filter = ""; draw().then(() => { main.focus(); scrollTo(0, 0); }); });
addEventListener("keydown", event => {
  const input = document.getElementById("search");
  if (event.key === "/" && input && document.activeElement !== input) { event.preventDefault(); input.focus(); }
});
draw();
listen();
