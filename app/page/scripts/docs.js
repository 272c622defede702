/** The API's description, by Swagger UI. */

const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

const spec = await (await fetch('openapi.json')).json();
const { parameters } = spec.paths['/colorize'].post;
// Swagger UI wants a file where text has a media type.
delete parameters.find(({ name }) => name === 'hints').schema.contentMediaType;

SwaggerUIBundle({
  spec,
  domNode: document.getElementById('swagger'),
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // else it shows the document to a service of its makers
});
