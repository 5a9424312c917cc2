import type { Caps } from '../../../src/seal/messages.ts';

/**
 * What the pages show, as the console's API answers it. Times are ISO 8601 in UTC; null means that it is not known
 * (never that it is fine). Handles only: no name or number of a person passes through this origin.
 */
export interface Session {
  readonly admin: string;
  readonly role: string;
  readonly expiresAt: string;
  readonly glass: string;
  /** The guards' limits; null if they do not answer. */
  readonly caps: Pick<Caps, 'perTouch'> | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly total: number;
}

export const STATES = ['offered', 'certified', 'authenticated', 'enrolled', 'checked_out', 'retired'] as const;
export type DeviceState = (typeof STATES)[number];

export interface Device {
  readonly handle: string;
  readonly holder: string | null;
  readonly state: DeviceState;
  readonly ownership: 'organisation' | 'personal';
  readonly model: string | null;
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly supervised: boolean | null;
  readonly lostMode?: boolean;
  readonly lastSeenAt: string | null;
  readonly enrolledAt: string | null;
  readonly pending: number;
}

export interface Command {
  readonly uuid: string;
  readonly verb: string;
  readonly state: string;
  readonly queuedAt: string;
  readonly deliveredAt: string | null;
  readonly doneAt: string | null;
  readonly errors: unknown;
  readonly intent: string | null;
  /** The user's channel that it is for; null for the device's own. */
  readonly channel: number | null;
  /** Why it still waits, in words; null when it does not. */
  readonly waitsFor: string | null;
}

export interface EventRow {
  readonly uid: string;
  readonly time: string;
  readonly kind: string;
  readonly actor: string | null;
  readonly device: string | null;
  readonly subject: string | null;
  readonly severity: number;
  readonly leaf: number | null;
  /** OCSF; what is ours alone is in `unmapped`. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** What somebody wanted done with the device; commands are made from it. */
export interface Intent {
  readonly id: string;
  readonly verb: string;
  readonly requester: string;
  readonly purpose: string;
  readonly state: string;
  readonly reason: string | null;
  readonly approval: string | null;
  readonly createdAt: string;
}

export interface Inventory {
  readonly kind: string;
  readonly takenAt: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface Channel {
  readonly id: number;
  readonly kind: 'user' | 'shared';
  readonly since: string;
}

export interface DeviceDetail {
  readonly device: Device & {
    readonly serial: string | null;
    readonly certificateNotAfter: string | null;
    readonly twoHoldersAt: string | null;
  };
  readonly inventory: readonly Inventory[];
  readonly channels: readonly Channel[];
  readonly commands: readonly Command[];
  readonly intents: readonly Intent[];
  readonly events: readonly EventRow[];
}

export interface Person {
  readonly handle: string;
  readonly unit: string | null;
  readonly memberState: string | null;
  readonly devices: readonly string[];
  readonly fields: readonly string[];
  readonly leftAt: string | null;
}

export interface Alert {
  readonly id: string;
  readonly rule: string;
  readonly title: string;
  readonly level: 'informational' | 'low' | 'medium' | 'high' | 'critical';
  readonly actor: string | null;
  readonly device: string | null;
  readonly events: number;
  readonly status: 'open' | 'acknowledged' | 'closed';
  readonly acknowledgedBy: string | null;
  readonly acknowledgedAt: string | null;
  readonly incidentId: string | null;
  readonly eventTime: string;
  readonly createdAt: string;
}

export interface Action {
  readonly id: string;
  readonly verb: string;
  readonly target: string;
  readonly state: string;
  readonly startedAt: string;
  readonly doneAt: string | null;
}

export interface AlertDetail {
  readonly alert: Alert;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly events: readonly EventRow[];
  readonly actions: readonly Action[];
}

export interface Lock {
  readonly id: string;
  readonly scope: 'directory' | 'admin' | 'commands' | 'role' | 'credential' | 'document';
  readonly target: string;
  readonly reason: string;
  readonly putBy: string;
  readonly putAt: string;
  readonly liftedAt: string | null;
}

export interface Approval {
  readonly id: string;
  readonly op: 'command' | 'declare' | 'unlock' | 'invite' | 'roster';
  readonly summary: string;
  readonly devices: readonly string[];
  readonly requester: string;
  readonly purpose: string;
  readonly needs: number;
  readonly signatures: readonly { readonly admin: string; readonly at: string }[];
  readonly state: string;
  readonly reason: string | null;
  readonly createdAt: string;
  readonly notAfter: string;
  readonly doneAt: string | null;
}

export interface Admin {
  readonly admin: string;
  readonly role: string;
  readonly since: string;
  readonly keys: number;
  readonly founding: boolean;
  readonly locked: boolean;
}

export interface Incident {
  readonly id: string;
  readonly title: string;
  readonly status: 'open' | 'contained' | 'closed';
  readonly openedBy: string;
  readonly openedAt: string;
  readonly t0: string | null;
  readonly t0By: string | null;
  readonly t0Reason: string | null;
  readonly windowFrom: string;
  readonly windowTo: string | null;
  readonly principal: string | null;
  readonly closedAt: string | null;
}

export interface Exposure {
  readonly id: string;
  readonly madeAt: string;
  readonly from: string;
  readonly to: string;
  readonly principal: string | null;
  readonly proven: readonly string[];
  readonly provenCount: number;
  readonly upperBoundCount: number;
  readonly unreadableCount: number;
  readonly peopleCount: number;
  readonly byField: Readonly<Record<string, number>>;
  readonly entries: readonly {
    readonly leaf: number;
    readonly time: number;
    readonly admin: string;
    readonly grant: string;
    readonly field: string;
    readonly purpose: string;
    readonly subjects: readonly string[];
    readonly proof: readonly string[];
    readonly verified: boolean;
  }[];
  readonly checkpoint: string;
  readonly complete: boolean;
  readonly caveats: readonly string[];
}

export interface IncidentDetail {
  readonly incident: Incident;
  readonly notes: readonly {
    readonly id: string;
    readonly author: string;
    readonly text: string;
    readonly at: string;
  }[];
  readonly exposures: readonly Exposure[];
  readonly alerts: readonly Alert[];
}

export interface Overview {
  readonly devices: Readonly<Partial<Record<DeviceState, number>>>;
  readonly people: number;
  readonly alerts: { readonly open: number; readonly critical: number };
  readonly approvals: { readonly open: number };
  readonly incidents: { readonly open: number };
  readonly locks: readonly Lock[];
  /** Why phones are not woken, or soon will not be; null while all is well. */
  readonly push: { readonly text: string; readonly urgent: boolean } | null;
  readonly posture: {
    readonly level: string;
    /** The organisation's key; null if the sealer does not answer. */
    readonly key: { readonly state: string; readonly number: number; readonly grade: string } | null;
    readonly findings: readonly { readonly title: string; readonly fix: string }[];
  };
  readonly log: {
    readonly size: number | null;
    readonly checkpointAt: string | null;
    readonly root: string | null;
    readonly waiting: number;
  };
}

export interface Push {
  readonly certificate: {
    readonly topic: string | null;
    readonly notAfter: string | null;
    readonly daysLeft: number | null;
    readonly loadedAt: string;
    /** `accepted`, or why APNs does not take our pushes. */
    readonly canary: string;
    readonly canaryAt: string;
  } | null;
  readonly obstacle: string | null;
  readonly pushes: readonly { readonly state: string; readonly reason: string | null; readonly devices: number }[];
  readonly waiting: {
    readonly items: readonly {
      readonly device: string;
      readonly verb: string;
      readonly state: string;
      readonly queuedAt: string;
      readonly waitsFor: string | null;
    }[];
    readonly total: number;
  };
}
