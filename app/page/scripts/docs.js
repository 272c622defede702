/** The API's description, by Swagger UI. */

const spec = await (await fetch('openapi.json')).json();
const { parameters, requestBody } = spec.paths['/colorize'].post;
// Swagger UI sends every field of a form, filled in by itself, but no parameter that is left empty.
// The options are both.
const form = requestBody.content['multipart/form-data'].schema;
form.properties = { file: form.properties.file };
// And it wants a file where text has a media type.
delete parameters.find(({ name }) => name === 'hints').schema.contentMediaType;

SwaggerUIBundle({
  spec,
  domNode: document.getElementById('swagger'),
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // else it shows the document to a service of its makers
});
