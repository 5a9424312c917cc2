export { type Judgement, judgeDeclaration } from './danger.ts';
export {
  type DeclarationInput,
  InvalidDeclaration,
  proposeDeclaration,
  removeDeclaration,
  secondDeclaration,
} from './declare.ts';
export { refreshDevices, refreshLists } from './lists.ts';
export { nudgeAgain, nudgeDevices } from './nudge.ts';
export { signProposed } from './sign.ts';
export { foundStandard, STANDARD_SET } from './standard.ts';
export { stepDeclarations } from './step.ts';
