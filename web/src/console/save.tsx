import { file } from './client.ts';
import { useAct } from './data.ts';
import { Refused } from './parts.tsx';

/** A browser that is still reading would lose the file. */
const KEPT_MS = 10_000;

/** Hands the browser a file to save. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

/** Fetches a file of the console's API and saves it as `name`. */
export function SaveButton({ path, name, label }: { path: string; name: string; label: string }) {
  const save = useAct(async () => saveFile(name, await file(path)));
  return (
    <>
      <button type="button" disabled={save.busy} onClick={() => save.run()}>
        {label}
      </button>
      <Refused problem={save.problem} />
    </>
  );
}
