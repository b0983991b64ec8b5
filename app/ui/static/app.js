// The page of the service: it uses nothing but the REST API, with the key that the person has entered.
const $ = (id) => document.getElementById(id);
const COLOURS = ["#2563eb", "#f59e0b", "#10b981", "#ec4899", "#8b5cf6", "#64748b"];
const POLL_MS = 1000;

// A key in the fragment (#key=…) never leaves the browser; the supervisor prints such an address.
const fromAddress = new URLSearchParams(location.hash.slice(1));
if (fromAddress.has("key")) {
  sessionStorage.setItem("key", fromAddress.get("key"));
  history.replaceState(null, "", location.pathname);
}
if (fromAddress.has("user")) $("user").value = fromAddress.get("user");
$("key").value = sessionStorage.getItem("key") ?? "";

async function call(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { ...options.headers, "X-API-Key": $("key").value } });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Error(problem.detail);
}

const json = async (path, options) => (await call(path, options)).json();
const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

function say(id, text, isProblem = false) {
  $(id).textContent = text;
  $(id).classList.toggle("problem", isProblem);
}

// Runs work with its button disabled; what goes wrong is said where the result would have been.
function on(form, event, output, work) {
  form.addEventListener(event, async (happened) => {
    happened.preventDefault();
    const button = form.matches("button") ? form : form.querySelector("button");
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      say(output, error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function showStatus() {
  const status = await json("/admin/status");
  say("status", `Project ${status.project} · ${status.items.total} items, ${status.items.ready} ready · `
    + `${status.events} events of ${status.users} users · live model ${status.live_model ?? "none"}`);
}

function shareBar(shares, names) {
  const bar = element("div", { className: "shares" });
  for (const [index, name] of names.entries()) {
    const part = element("span", { title: `${name} ${Math.round(100 * shares[name])}%` });
    part.style.flex = String(shares[name]);
    part.style.setProperty("--share", COLOURS[index % COLOURS.length]);
    bar.append(part);
  }
  return bar;
}

async function card(recommended, names) {
  const item = await json(`/items/${encodeURIComponent(recommended.item_id)}`);
  const picture = element("div", { className: "picture" }, item.media.image ? "" : "◌");
  if (item.media.image) {
    const image = await call(`/items/${encodeURIComponent(item.item_id)}/media/image`);
    picture.append(element("img", { alt: "", src: URL.createObjectURL(await image.blob()) }));
  }
  const score = recommended.score === null ? "" : ` · ${recommended.score.toFixed(2)}`;
  const label = item.attributes.synthetic ? " · synthetic demo item" : "";
  const words = element("div", { className: "words" },
    element("b", {}, `${recommended.rank}. ${item.title || item.item_id}`),
    element("small", {}, `${item.categories.join(", ")}${score}${label}`));
  return element("li", {}, picture, words, ...(recommended.shares ? [shareBar(recommended.shares, names)] : []));
}

function showLegend(names) {
  $("legend").hidden = names.length === 0;
  $("legend").replaceChildren("Share of each modality in the item's vector:", ...names.flatMap((name, index) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.setProperty("--share", COLOURS[index % COLOURS.length]);
    return [swatch, name];
  }));
}

async function recommend() {
  const user = $("user").value;
  const answer = await json(`/recommend/${encodeURIComponent(user)}?limit=${$("limit").value}`);
  say("answer", answer.personalised
    ? `Personal, by model ${answer.model_version}.`
    : `Nothing personal is known of ${user} yet: ${answer.fallback} items.`);
  const names = Object.keys(answer.items.find((one) => one.shares)?.shares ?? {});
  showLegend(names);
  for (const image of $("items").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  $("items").replaceChildren(...await Promise.all(answer.items.map((one) => card(one, names))));
}

async function upload() {
  const fields = new FormData($("upload-form"));
  const body = new FormData();
  body.set("item", JSON.stringify({ item_id: fields.get("item_id"), title: fields.get("title") }));
  for (const modality of ["image", "audio", "video"]) {
    if (fields.get(modality).size) body.set(modality, fields.get(modality));
  }
  let item = await json("/items", { method: "POST", body });
  while (item.state === "pending" && Object.keys(item.media).length) {
    say("uploaded", `${item.item_id} is taken and being encoded …`);
    await new Promise((wake) => setTimeout(wake, POLL_MS));
    item = await json(`/items/${encodeURIComponent(item.item_id)}`);
  }
  say("uploaded", item.error ?? `${item.item_id} is ${item.state}${item.recommendable ? " and can be recommended" : ""}.`,
    Boolean(item.error));
  await showStatus();
}

async function train() {
  let training = await post("/admin/trainings", {});
  while (["queued", "running"].includes(training.state)) {
    const at = training.progress ?? {};
    say("training", `${training.state} ${at.stage ?? ""} `
      + (at.epoch ? `epoch ${at.epoch} of ${at.epochs}, loss ${at.loss.toFixed(3)}, NDCG@10 ${at.ndcg10.toFixed(3)}` : ""));
    await new Promise((wake) => setTimeout(wake, POLL_MS));
    training = await json(`/admin/trainings/${training.id}`);
  }
  const result = training.result;
  say("training", result
    ? `${result.model_version}: test HR@10 ${result.metrics.test.hr10.toFixed(3)}, `
      + `most popular ${result.metrics.baselines.popular.hr10.toFixed(3)}${result.promoted ? "; live now" : "; not promoted"}`
    : `${training.state}: ${training.error ?? ""}`, !result);
  await showStatus();
}

on($("key-form"), "submit", "status", async () => {
  sessionStorage.setItem("key", $("key").value);
  await showStatus();
  await recommend();
});
on($("ask-form"), "submit", "answer", recommend);
on($("upload-form"), "submit", "uploaded", upload);
on($("train"), "click", "training", train);
if ($("key").value) $("key-form").requestSubmit();
