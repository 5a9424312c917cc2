import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { build, defineConfig, type InlineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** One app: an HTML page, one script and one style sheet, all same-origin files; nothing inline, no data: URL. */
const app = (name: 'console' | 'glass'): InlineConfig => ({
  root: here(`./${name}`),
  base: '/',
  logLevel: 'warn',
  plugins: [react()],
  build: {
    outDir: here(`./dist/${name}`),
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    sourcemap: false,
    reportCompressedSize: false,
  },
});

/** Two origins, two builds: console and glass share no file at run time. `vite build web` makes both. */
export default defineConfig({
  ...app('console'),
  plugins: [
    react(),
    {
      name: 'glass-too',
      // the command line's root ("web") wins over the file's, so it is set once more here
      config: () => ({ root: here('./console') }),
      async closeBundle() {
        await build({ ...app('glass'), configFile: false });
      },
    },
  ],
});
