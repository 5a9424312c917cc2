import { saveFile } from '../shared/save-file.ts';
import { file } from './client.ts';
import { useAct } from './data.ts';
import { Refused } from './parts.tsx';

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
