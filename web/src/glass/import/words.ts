/** Why a line is refused, in words. A code that is not here is shown as it is. */
export const WHY: Readonly<Record<string, string>> = {
  header:
    'The first line must be given_name,family_name,email,mobile,unit,member_state, with external_id after it if people have keys.',
  empty: 'There is nobody in this file.',
  quote: 'A quotation mark stands where none may be. What follows was not read.',
  'line-end': 'A line ends in a way that CSV does not know. What follows was not read.',
  'too-many-rows': 'A file may have 50 000 people.',
  columns: 'The line has too few or too many columns.',
  formula: 'A cell begins like a formula of a spreadsheet.',
  'control-character': 'A cell holds a character that cannot be seen.',
  name: 'Given or family name is missing.',
  'name-too-long': 'The name is longer than 126 bytes in UTF-8 (76 under the third lock).',
  email: 'The e-mail address is not one.',
  'email-twice': 'The e-mail address is that of another line too.',
  'member-state': 'The member state is not a country code such as FR.',
  unit: 'A unit stays in the clear: no address, no number, at most 64 characters.',
  mobile: 'The mobile number is not a possible number. Write it with + and the country.',
  'mobile-landline': 'The number is one of a fixed line.',
  'mobile-kind': 'The number charges whoever calls it, or serves many.',
  'mobile-unknown': 'The number belongs to no range that is known.',
  'external-id': 'The key of the other system is missing or longer than 128 characters.',
  'external-id-twice': 'The key is that of another line too.',
};
