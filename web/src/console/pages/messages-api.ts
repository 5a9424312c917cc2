import type { Channel, Topic, Variables } from '../../../../src/seal/notices.ts';
import { send } from '../client.ts';
import type { Page } from '../model.ts';

export interface Message {
  readonly id: string;
  readonly lane: 'send' | 'notice' | 'auto-send';
  readonly notice: string | null;
  readonly subject: string;
  readonly channel: Channel;
  readonly topic: string;
  readonly by: string;
  readonly at: string;
  readonly notAfter: string;
  readonly state: 'waiting' | 'taken' | 'sending' | 'sent' | 'failed' | 'uncertain' | 'expired' | 'refused';
  readonly reason: string | null;
  readonly attempts: number;
  readonly doneAt: string | null;
}

export interface Messages extends Page<Message> {
  /** What courier can send now. */
  readonly channels: readonly Channel[];
  /** As messages name it. */
  readonly organisation: string;
}

export const askNotice = (body: {
  readonly channel: Channel;
  readonly topic: Topic;
  readonly variables: Variables;
  readonly people: 'everyone' | readonly string[];
  readonly purpose: string;
}) => send<{ approvals: string[] }>('POST', '/messages/notices', body);
