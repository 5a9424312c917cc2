import { type FormEvent, useId, useState } from 'react';
import { api } from '../client.ts';
import { useAct, useDraft } from '../data.ts';
import { Dialog, GlassLink, Refused } from '../parts.tsx';
import { useSession } from '../session.tsx';

/** Invites a new admin; further passkeys and all else are changes of the roster. */
export function Invite({ onClose }: { onClose: () => void }) {
  const id = useId();
  const { glass } = useSession();
  const [admin, setAdmin, clearAdmin] = useDraft('invite-admin');
  const [role, setRole] = useState('analyst');
  const [purpose, setPurpose, clearPurpose] = useDraft('invite-purpose');
  const [made, setMade] = useState<{ approval: string; link: string }>();
  const invite = useAct(async () => {
    setMade(await api.invite({ admin: admin.trim(), role, purpose: purpose.trim() }));
    clearAdmin();
    clearPurpose();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void invite.run();
  };
  if (made !== undefined) {
    return (
      <Dialog title="Invitation" onClose={onClose}>
        <p className="note warn">
          <strong>Copy this link now; it is shown once.</strong> It works after two people have signed, for one person,
          once.
        </p>
        <p className="link-box">{made.link}</p>
        <div className="row">
          <button type="button" onClick={() => navigator.clipboard.writeText(made.link)}>
            Copy the link
          </button>
          <GlassLink glass={glass} task={`approve=${made.approval}`} primary>
            Review and sign
          </GlassLink>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Invite an admin" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <label htmlFor={`${id}h`}>
            Handle{' '}
            <span className="hint">
              lower case, digits, hyphens; it appears in the log for ever, so not a real name
            </span>
          </label>
          <input
            id={`${id}h`}
            className="mono"
            required
            pattern="[a-z0-9][a-z0-9\-]{1,62}"
            autoComplete="off"
            value={admin}
            onChange={(event) => setAdmin(event.target.value)}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}r`}>Role</label>
          <select id={`${id}r`} value={role} onChange={(event) => setRole(event.target.value)}>
            <option value="administrator">administrator: runs devices</option>
            <option value="analyst">analyst: watches alerts and incidents</option>
            <option value="dpo">dpo: data protection officer</option>
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}p`}>
            Why? <span className="hint">5 to 200 characters</span>
          </label>
          <textarea
            id={`${id}p`}
            required
            minLength={5}
            maxLength={200}
            value={purpose}
            onChange={(event) => setPurpose(event.target.value)}
          />
        </div>
        <Refused problem={invite.problem} />
        <div className="row">
          <button type="submit" className="primary" disabled={invite.busy}>
            Ask for two signatures
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
