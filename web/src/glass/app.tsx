import { lazy, Suspense, useEffect, useState } from 'react';
import { DEVICE_SECRETS, FIELDS, type Field, LOCK_SCOPES, type LockScope } from '../../../src/seal/messages.ts';
import { TOPICS, type Topic, VARIABLES } from '../../../src/seal/notices.ts';
import { Approve } from './approve.tsx';
import { BreakGlass } from './break-glass.tsx';
import { CancelChange } from './change.tsx';
import { Cosign } from './cosign.tsx';
import { ExportFile } from './export.tsx';
import { Join } from './join.tsx';
import { Leavers } from './leave.tsx';
import { LockNow } from './lock.tsx';
import { Card, Trouble } from './parts.tsx';
import { Release } from './release.tsx';
import { Reveal } from './reveal.tsx';
import { SealedBanner } from './sealed-banner.tsx';
import { SearchPage } from './search.tsx';
import { SendMessage } from './send.tsx';
import { type Published, published } from './server.ts';
import { Share } from './share.tsx';
import { OwnSheet } from './sheet.tsx';
import { SignIn } from './sign-in.tsx';
import { StopRaise } from './stop-raise.tsx';
import { ThirdPage } from './third/third.tsx';

/** Fetched only by whoever imports: it knows the numbering plans of the world. */
const Import = lazy(() => import('./import/import.tsx').then((page) => ({ default: page.Import })));

const HANDLE = /^[a-z]{2,12}-[a-z]{2,12}-[1-9][0-9]{3}$/;
const ADMIN = /^[a-z0-9][a-z0-9-]{1,62}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What the link asks for. Everything is in the fragment, so no server log ever holds it. */
function Task({ hash, config }: { hash: string; config: Published }) {
  const asked = new URLSearchParams(hash.slice(1));
  const token = asked.get('join');
  if (token !== null && ADMIN.test(asked.get('admin') ?? '')) {
    return <Join token={token} admin={asked.get('admin') as string} config={config} />;
  }
  const packed = asked.get('sign-in');
  if (packed !== null) return <SignIn packed={packed} back={asked.get('return') ?? ''} config={config} />;
  const field = asked.get('reveal');
  if (field !== null) {
    const subjects = [...new Set((asked.get('subjects') ?? '').split(','))].sort();
    if (
      (FIELDS as readonly string[]).includes(field) &&
      !DEVICE_SECRETS.has(field as Field) &&
      subjects.every((subject) => HANDLE.test(subject))
    ) {
      return <Reveal field={field as Field} subjects={subjects} config={config} />;
    }
  }
  const secret = asked.get('release');
  const device = asked.get('device') ?? '';
  if (secret !== null && DEVICE_SECRETS.has(secret as Field) && HANDLE.test(device)) {
    return <Release field={secret as Field} device={device} config={config} />;
  }
  const topic = asked.get('send');
  const to = asked.get('to') ?? '';
  const channel = asked.get('channel');
  if (
    topic !== null &&
    (TOPICS as string[]).includes(topic) &&
    HANDLE.test(to) &&
    (channel === 'sms' || channel === 'email')
  ) {
    const given = Object.keys(VARIABLES).flatMap((name) => {
      const value = asked.get(name);
      return value === null ? [] : [[name, value]];
    });
    return <SendMessage {...{ topic: topic as Topic, channel, to, config }} variables={Object.fromEntries(given)} />;
  }
  const exported = asked.get('export') ?? '';
  if (UUID.test(exported)) return <ExportFile id={exported} />;
  if (asked.has('third-lock')) return <ThirdPage config={config} />;
  if (asked.has('search'))
    return <SearchPage field={asked.get('search') === 'number' ? 'number' : 'name'} config={config} />;
  if (asked.has('import')) {
    return (
      <Suspense fallback={<Card title="Import people">Loading</Card>}>
        <Import config={config} />
      </Suspense>
    );
  }
  const scope = asked.get('lock');
  if (scope !== null && (LOCK_SCOPES as readonly string[]).includes(scope)) {
    return <LockNow scope={scope as LockScope} target={asked.get('target') ?? ''} />;
  }
  if (asked.has('unseal')) return <Share />;
  if (asked.has('stop-raise')) return <StopRaise />;
  if (asked.has('break-glass')) return <BreakGlass drill={asked.get('break-glass') === 'drill'} />;
  const cosigned = asked.get('cosign');
  if (cosigned !== null) return <Cosign packed={cosigned} />;
  const changed = asked.get('cancel-change') as Field | null;
  const [whose, version] = [asked.get('subject') ?? '', Number(asked.get('version'))];
  if ((changed === 'number' || changed === 'email') && HANDLE.test(whose) && Number.isSafeInteger(version)) {
    return <CancelChange subject={whose} field={changed} version={version} />;
  }
  const leavers = [...new Set((asked.get('leave') ?? '').split(','))].sort();
  if (leavers.every((subject) => HANDLE.test(subject))) return <Leavers subjects={leavers} />;
  const sheet = asked.get('sheet');
  if (sheet !== null) return <OwnSheet token={sheet} config={config} />;
  const id = asked.get('approve');
  if (id !== null) return <Approve id={id} />;
  return (
    <Card title="Nothing is asked of you here">
      <p>
        Glass opens from the console: when you sign in, read a name or number, or sign an approval.
        {token === null ? '' : ' This invitation link is incomplete; ask for a new one.'}
      </p>
      <p>
        <a className="button primary" href={config.console}>
          Go to the console
        </a>
      </p>
    </Card>
  );
}

export function App() {
  const [config, setConfig] = useState<Published>();
  const [error, setError] = useState<Error>();
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    published().then(setConfig, setError);
    const changed = () => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <header className="band">
        <strong>Glass</strong> <span>Names are shown here and nowhere else</span>
      </header>
      <SealedBanner />
      {config === undefined ? (
        <Card title="Glass">{error === undefined ? <p role="status">Loading</p> : <Trouble error={error} />}</Card>
      ) : (
        <Task key={hash} hash={hash} config={config} />
      )}
      <footer className="quiet small">
        This page is <span className="mono">{location.host}</span>. Touch your passkey only where the address bar says
        so.
      </footer>
    </>
  );
}
