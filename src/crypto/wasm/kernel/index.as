// What the kernel exports beside its memory.

export { searchStamp } from "./stamp";
export { absorb, finish, graft } from "./tree";
