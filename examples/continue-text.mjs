/**
 * Continues a text by a model that was trained for the task next-token: it asks for the next token again and again, each time
 * with one more.
 * Usage: node examples/continue-text.mjs MODEL TEXT [TOKENS=200] [ADDRESS=http://localhost:8080]
 */
const [model, begin, tokens = '200', address = 'http://localhost:8080'] = process.argv.slice(2);
if (model === undefined || begin === undefined) throw new Error('name the model and the beginning of the text');

let text = begin;
for (let count = 0; count < Number(tokens); count += 1) {
  const response = await fetch(`${address}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, inputs: [{ text }] }),
  });
  const { predictions, error } = await response.json();
  if (error !== undefined) throw new Error(error.message);
  // Drawn from the likeliest tokens by their probabilities; the first one alone would soon go round in circles.
  const { top } = predictions[0];
  let draw = Math.random() * top.reduce((sum, { probability }) => sum + probability, 0);
  const next = top.find(({ probability }) => (draw -= probability) <= 0) ?? top[0];
  if (next.label === '<end of text>') break;
  text += next.label;
}
console.log(text);
