// k8s_validate.js owns the check of manifests against the schemas of Kubernetes, of the Gateway API and of the Prometheus
// operator, as npm's kubernetes-models have them. Reads a stream of YAML documents; prints one JSON object: kinds that were
// checked, kinds that no schema is known for, and what is wrong. NODE_PATH says where the packages are.
const path = require('path');
const yaml = require('yaml');
const packages = ['kubernetes-models', '@kubernetes-models/gateway-api', '@kubernetes-models/prometheus-operator'];

function modelOf(apiVersion, kind) {
  for (const name of packages) {
    try {
      const model = require(path.join(process.env.NODE_PATH, name, apiVersion))[kind];
      if (model) return model;
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return null;
}

const result = { checked: [], unknown: [], wrong: [] };
for (const document of yaml.parseAllDocuments(require('fs').readFileSync(0, 'utf8'))) {
  for (const error of document.errors) result.wrong.push(String(error.message)); // a doubled key is one
  const object = document.toJS();
  if (!object) continue;
  const Model = modelOf(object.apiVersion, object.kind);
  if (!Model) {
    result.unknown.push(object.kind);
    continue;
  }
  result.checked.push(object.kind);
  try {
    new Model(object).validate();
  } catch (error) {
    result.wrong.push(`${object.kind} ${object.metadata?.name}: ${error.message}`);
  }
}
console.log(JSON.stringify(result));
