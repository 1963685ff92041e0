// Writes the generated modules of src/client from the schemas of the server. Run it after a change of the API: npm run client.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { clientTexts } from './client-text.ts';

for (const [name, text] of Object.entries(clientTexts())) {
  writeFileSync(fileURLToPath(new URL(`../src/client/${name}`, import.meta.url)), text);
}
