// Every operation of the API, drawn from its OpenAPI document; nothing is loaded from elsewhere.
const $ = (id) => document.getElementById(id);
const BOUNDS = {
  minimum: "at least", exclusiveMinimum: "more than", maximum: "at most", exclusiveMaximum: "less than",
  minLength: "characters, at least", maxLength: "characters, at most", minItems: "entries, at least",
  maxItems: "entries, at most", pattern: "matches", default: "default",
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Descriptions are Markdown; of it only code is drawn.
const words = (text) => element("span", {}, ...(text ?? "").split("`").map((part, index) =>
  index % 2 ? element("code", {}, part) : part));

function reader(api) {
  const resolve = (schema) => (schema?.$ref
    ? { ...schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api), ...schema, $ref: undefined }
    : schema ?? {});

  function typeOf(schema) {
    const one = resolve(schema);
    const several = one.anyOf ?? one.oneOf;
    if (several) return [...new Set(several.map(typeOf))].join(" | ");
    if (one.enum) return one.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (one.const !== undefined) return JSON.stringify(one.const);
    if (one.type === "array") return `${one.items ? typeOf(one.items) : "any"}[]`;
    if (one.type === "object" && !one.properties && one.additionalProperties) {
      return `{name: ${one.additionalProperties === true ? "any" : typeOf(one.additionalProperties)}}`;
    }
    return (one.properties && one.title) || one.format || one.type || "any";
  }

  // The objects that a schema leads to: itself, or what its list, map or alternatives hold.
  function objectsIn(schema) {
    const one = resolve(schema);
    if (one.properties) return [one];
    const inner = [...(one.anyOf ?? one.oneOf ?? []), one.items, one.additionalProperties];
    const found = inner.filter((part) => part && typeof part === "object").flatMap(objectsIn);
    return [...new Map(found.map((part) => [part.properties, part])).values()];
  }

  const bounds = (schema) => Object.entries(BOUNDS)
    .filter(([key]) => schema[key] !== undefined && schema[key] !== null)
    .map(([key, said]) => `${said} ${JSON.stringify(schema[key])}`).join(", ");

  function field(name, schema, isRequired, description) {
    const one = resolve(schema);
    const limits = [one, ...(one.anyOf ?? [])].map((part) => bounds(resolve(part))).filter(Boolean).join(", ");
    const line = element("span", {}, element("code", {}, name), " ",
      element("span", { className: "type" }, [typeOf(schema), isRequired ? "required" : "", limits].filter(Boolean).join(" · ")),
      " ", words(description ?? one.description));
    const objects = objectsIn(schema);
    return element("li", {}, objects.length ? unfolding(line, () => objects.map(fields)) : line);
  }

  const fields = (schema) => element("ul", {}, ...Object.entries(schema.properties)
    .map(([name, one]) => field(name, one, schema.required?.includes(name))));

  const media = (content) => Object.entries(content ?? {}).flatMap(([kind, one]) => {
    const example = one.example ?? Object.values(one.examples ?? {})[0]?.value;
    return [
      element("p", { className: "type" }, `${kind}: ${typeOf(one.schema)}`),
      ...objectsIn(one.schema).map(fields),
      ...(example === undefined ? [] : [element("pre", {}, JSON.stringify(example, null, 2))]),
    ];
  });
  return { field, media };
}

// Drawn when it is opened first: schemas may lead to themselves.
function unfolding(line, draw) {
  const made = element("details", {}, element("summary", {}, line));
  made.addEventListener("toggle", () => made.append(element("div", {}, ...draw())), { once: true });
  return made;
}

function curl(path, method, operation) {
  const base = new URL(".", location.href).href.replace(/\/(v1\/)?$/, "");
  const body = operation.requestBody?.content?.["application/json"];
  const example = body?.example ?? Object.values(body?.examples ?? {})[0]?.value;
  const verb = method === "get" || (method === "post" && body) ? "" : ` -X ${method.toUpperCase()}`;
  const data = body ? ` \\\n  -H 'Content-Type: application/json' -d '${JSON.stringify(example ?? {}).replaceAll("'", "'\\''")}'` : "";
  return `curl${verb} -H "Authorization: Bearer $KEY" '${base}${path}'${data}`;
}

function drawn(api, path, method, operation) {
  const { field, media } = reader(api);
  const scope = operation.security?.flatMap((one) => Object.values(one).flat())[0];
  const line = element("span", {}, element("span", { className: "method" }, method.toUpperCase()),
    element("code", {}, path), element("small", {}, words((operation.description ?? operation.summary ?? "").split("\n")[0])));
  const parameters = (operation.parameters ?? []).map((one) =>
    field(`${one.name} (${one.in})`, one.schema, one.required, one.description));
  return unfolding(line, () => [
    element("p", {}, words(operation.description)),
    element("p", { className: "type" }, scope ? `A key with the scope ${scope}.` : "No key is needed."),
    element("pre", {}, curl(path, method, operation)),
    ...(parameters.length ? [element("h3", {}, "Parameters"), element("ul", {}, ...parameters)] : []),
    ...(operation.requestBody ? [element("h3", {}, "Body"), ...media(operation.requestBody.content)] : []),
    element("h3", {}, "Answers"),
    ...Object.entries(operation.responses).map(([status, one]) => unfolding(
      element("span", {}, element("code", {}, status), " ", words(one.description)), () => media(one.content))),
  ]);
}

function draw(api) {
  $("about").replaceChildren(words(`${api.info.summary ?? ""} ${api.info.description ?? ""}`));
  const sections = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? "other";
      if (!sections.has(tag)) sections.set(tag, element("section", {}, element("h2", {}, tag)));
      const made = drawn(api, path, method, operation);
      made.dataset.words = [method, path, tag, operation.summary, operation.description].join(" ").toLowerCase();
      sections.get(tag).append(made);
    }
  }
  $("operations").replaceChildren(...sections.values());
  find();
}

function find() {
  const wanted = $("find").value.toLowerCase().trim();
  for (const one of document.querySelectorAll("[data-words]")) one.hidden = !one.dataset.words.includes(wanted);
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("[data-words]:not([hidden])");
  }
}

$("find").addEventListener("input", find);
$("find").form.addEventListener("submit", (happened) => happened.preventDefault());
try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`openapi.json: ${answer.status}`);
  draw(await answer.json());
} catch (error) {
  $("about").textContent = error.message;
  $("about").classList.add("problem");
}
