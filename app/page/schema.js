// What can be compared here, out of the OpenAPI document: each kernel's fields, with their names and bounds. Pure.

const PATH = /^\/([a-z][a-z0-9-]*)\/compare$/;

/** [{kernel, summary, fields: [{name, type, minimum, maximum, value, optional, hint, choices}]}]. */
export function kernelsOf(document) {
  const found = [];
  for (const [path, { post }] of Object.entries(document.paths ?? {})) {
    const kernel = PATH.exec(path)?.[1];
    if (!kernel || !post) continue;
    const body = resolve(document, post.requestBody?.content?.["application/json"]?.schema ?? {});
    const fields = Object.entries(body.properties ?? {})
      .map(([name, schema]) => field(document, name, schema, body))
      .filter((each) => each.type !== null);
    found.push({ kernel, fields });
  }
  return found;
}

/** Whether calls need a key. */
export function needsKey(document) {
  return Object.keys(document.components?.securitySchemes ?? {}).length > 0;
}

function resolve(document, schema) {
  if (!schema.$ref) return schema;
  return (
    schema.$ref
      .replace(/^#\//, "")
      .split("/")
      .reduce((at, name) => at?.[name], document) ?? {}
  );
}

function field(document, name, schema, body) {
  const choices = (schema.anyOf ?? [schema]).map((each) => resolve(document, each));
  const optional = choices.some(({ type }) => type === "null");
  const kind = choices.find(({ type }) => type !== "null") ?? {};
  const example = body.examples?.[0]?.[name];
  const value = schema.default ?? kind.default ?? (optional ? "" : (example ?? ""));
  return {
    name,
    type: kind.enum ? "choice" : ["integer", "number", "boolean", "string"].includes(kind.type) ? kind.type : null,
    minimum: kind.minimum ?? kind.exclusiveMinimum,
    maximum: kind.maximum ?? kind.exclusiveMaximum,
    value: String(value ?? ""),
    optional: optional || !(body.required ?? []).includes(name),
    hint: schema.description ?? kind.description ?? "",
    choices: kind.enum ?? [],
  };
}

/** The body to post: what is empty is left to its default. ``texts``: by name, as they are in the form. */
export function bodyOf(fields, texts) {
  const body = {};
  for (const { name, type } of fields) {
    const text = texts[name] ?? "";
    if (text === "") continue;
    if (type === "integer" || type === "number") body[name] = Number(text);
    else if (type === "boolean") body[name] = text === "true";
    else body[name] = text;
  }
  return body;
}
