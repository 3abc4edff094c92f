//! Policies from templates: `builtin/service` and its like, whose variable is a name.

use serde_json::{Value, json};

use crate::catalog::request::{Access, Answer, Call, Fault, Fields, Outcome, Resource, Rule};

/// One template: `{}` in its rules stands for the name.
struct Template {
    name: &'static str,
    variable: bool,
    rules: &'static str,
    doc: &'static str,
}

const TEMPLATES: &[Template] = &[
    Template {
        name: "builtin/service",
        variable: true,
        rules: "service \"{}\" { policy = \"write\" }\nservice \"{}-sidecar-proxy\" { policy = \"write\" }\n\
                service_prefix \"\" { policy = \"read\" }\nnode_prefix \"\" { policy = \"read\" }\n",
        doc: "Gives the token or role permissions to register a service and discover services in the catalog.",
    },
    Template {
        name: "builtin/node",
        variable: true,
        rules: "node \"{}\" { policy = \"write\" }\nservice_prefix \"\" { policy = \"read\" }\n",
        doc: "Gives the token or role permissions for a node of the catalog.",
    },
    Template {
        name: "builtin/dns",
        variable: false,
        rules: "node_prefix \"\" { policy = \"read\" }\nservice_prefix \"\" { policy = \"read\" }\n\
                query_prefix \"\" { policy = \"read\" }\n",
        doc: "Gives the token or role permissions for the DNS responder.",
    },
];

fn template(name: &str) -> Result<&'static Template, Fault> {
    let found = TEMPLATES.iter().find(|one| one.name == name);
    found.ok_or_else(|| Fault::bad_request(format!("Invalid template name: {name}")))
}

fn schema(template: &Template) -> Value {
    if !template.variable {
        return Value::String(String::new());
    }
    let schema = json!({
        "type": "object", "properties": { "name": { "type": "string", "$ref": "#/definitions/min-length-one" } },
        "required": ["name"], "definitions": { "min-length-one": { "type": "string", "minLength": 1 } },
    });
    Value::String(schema.to_string())
}

fn shown(template: &Template) -> Value {
    json!({
        "TemplateName": template.name, "Schema": schema(template), "Template": template.rules,
        "Description": template.doc,
    })
}

/// Names go into rules between quotes.
fn filled(template: &Template, name: &str) -> Result<String, Fault> {
    if template.variable && (name.is_empty() || name.contains(['"', '\\', '\n'])) {
        return Err(Fault::bad_request("Invalid template variables: name is missing or not valid"));
    }
    Ok(template.rules.replace("{}", name))
}

/// The rules of an entry of `TemplatedPolicies`; one that is unknown gives none.
pub fn rules_of(entry: &Value) -> Vec<Rule> {
    let name = entry.get("TemplateName").and_then(Value::as_str).unwrap_or_default();
    let variables = entry.get("TemplateVariables").and_then(|v| v.get("name"));
    let text = template(name).and_then(|t| filled(t, variables.and_then(Value::as_str).unwrap_or_default()));
    text.ok().and_then(|text| super::rules::parse(&text).ok()).unwrap_or_default()
}

/// Reads entries of `TemplatedPolicies`, and refuses those that make no sense.
pub fn read(fields: &Fields) -> Result<Vec<Value>, Fault> {
    let mut out = Vec::new();
    for one in fields.objects("TemplatedPolicies")? {
        let template = template(&one.text("TemplateName")?)?;
        let name = match one.object("TemplateVariables")? {
            Some(variables) => variables.text("Name")?,
            None => "".into(),
        };
        filled(template, &name)?;
        let mut entry = json!({ "TemplateName": template.name });
        if template.variable {
            entry["TemplateVariables"] = json!({ "name": &*name });
        }
        out.push(entry);
    }
    Ok(out)
}

pub async fn list(call: &Call) -> Outcome {
    call.require(Resource::Acl, "", Access::Read)?;
    let all: serde_json::Map<String, Value> =
        TEMPLATES.iter().map(|one| (one.name.to_owned(), shown(one))).collect();
    Answer::json(&all)
}

pub async fn by_name(call: &Call) -> Outcome {
    call.require(Resource::Acl, "", Access::Read)?;
    Answer::json(&shown(template(call.arg("Missing template name")?)?))
}

pub async fn preview(call: &Call) -> Outcome {
    call.require(Resource::Acl, "", Access::Read)?;
    let template = template(call.arg("Missing template name")?)?;
    let rules = filled(template, &call.fields()?.text("Name")?)?;
    Answer::json(&json!({
        "ID": "", "Name": "synthetic-policy-preview", "Description": template.doc, "Rules": rules,
        "CreateIndex": 0, "ModifyIndex": 0,
    }))
}
