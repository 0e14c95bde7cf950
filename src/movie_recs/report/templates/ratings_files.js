"use strict";
// A person's ratings from the files of IMDb, Letterboxd and GroupLens, as new_users.py reads them; nothing is guessed.

const MOST_BYTES = 50_000_000, LAST_SECOND = 9_223_372_036;
const LAYOUTS = [ // `top`: the highest rating, of a scale whose least is `low`; GroupLens' ratings are on the data's own
  { whose: "GroupLens", id: "movieId", rating: "rating", time: "timestamp", needed: ["movieId", "rating"] },
  { whose: "IMDb", imdb: "Const", title: "Title", year: "Year", rating: "Your Rating", time: "Date Rated", low: 1, top: 10, needed: ["Const", "Your Rating"] },
  { whose: "Letterboxd", title: "Name", year: "Year", rating: "Rating", time: "Date", low: 0.5, top: 5, needed: ["Name", "Year", "Rating"] },
];

/** The bytes, decompressed. */
async function inflate(bytes, format) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)), parts = [], reader = stream.getReader();
  for (let size = 0, part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    if ((size += part.value.length) > MOST_BYTES) throw new Error("it is larger than 50 MB.");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The file ratings.csv at the top of a zip archive. */
async function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), broken = new Error("it is no complete zip archive.");
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw broken;
  let at = view.getUint32(end + 16, true);
  for (let entry = view.getUint16(end + 10, true); entry > 0; entry -= 1) {
    if (at + 46 > end || view.getUint32(at, true) !== 0x02014b50) throw broken;
    const [method, size, name] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint16(at + 28, true)];
    const begin = view.getUint32(at + 42, true);
    if (new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name)) === "ratings.csv") {
      if (begin + 30 > end) throw broken;
      const first = begin + 30 + view.getUint16(begin + 26, true) + view.getUint16(begin + 28, true);
      const content = bytes.subarray(first, first + size);
      return method === 8 ? inflate(content, "deflate-raw") : content;
    }
    at += 46 + name + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  throw new Error("there is no ratings.csv in it.");
}

/** Rows of fields of a CSV file (RFC 4180). */
function parseCsv(text) {
  const rows = [];
  let row = [], field = "", isQuoted = false;
  const endRow = () => {
    row.push(field);
    if (row.length > 1 || field !== "") rows.push(row);
    [row, field] = [[], ""];
  };
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at];
    if (isQuoted && letter === '"' && text[at + 1] === '"') field += text[(at += 1)];
    else if (letter === '"' && (isQuoted || field === "")) isQuoted = !isQuoted;
    else if (isQuoted) field += letter;
    else if (letter === ",") field = (row.push(field), "");
    else if (letter === "\n" || (letter === "\r" && text[at + 1] !== "\n")) endRow();
    else if (letter !== "\r") field += letter;
  }
  if (field !== "" || row.length) endRow();
  return rows;
}

/** {whose, found: [[place, stars, seconds]], left: [[what, why]]} of the bytes of a file; an error says what is wrong with it. */
async function readRatings(bytes, catalogue) {
  if (bytes.length > MOST_BYTES) throw new Error("it is larger than 50 MB.");
  const isZip = bytes.length > 3 && bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] < 8;
  const [header = [], ...rows] = parseCsv(new TextDecoder("utf-8", { fatal: true }).decode(isZip ? await unzip(bytes) : bytes));
  const names = header.map((name) => name.trim()), layout = LAYOUTS.find(({ needed }) => needed.every((name) => names.includes(name)));
  if (!layout) throw new Error("it has none of the headers of IMDb's (Const, Your Rating), Letterboxd's (Name, Year, Rating) or GroupLens' files (movieId, rating).");
  const finder = new Finder(catalogue), found = [], left = [];
  rows.forEach((row, number) => {
    const field = (name) => (row[names.indexOf(layout[name])] ?? "").trim();
    const stars = starsFrom(field("rating"), layout, catalogue.scale), [place, why] = finder.find(field);
    const seconds = names.includes(layout.time) ? secondsFrom(field("time"), layout) : number;
    const what = field("title") ? `${field("title")}${field("year") && ` (${field("year")})`}` : field("id") || field("imdb") || `row ${number + 2}`;
    if (place === null) left.push([what, why]);
    else if (seconds === null) left.push([what, "its time is no number of seconds"]);
    else if (stars === null) left.push([what, field("rating") ? `${field("rating")} is not on the scale` : "it has no rating"]);
    else found.push([place, stars, seconds]);
  });
  return { whose: layout.whose, found, left };
}

/** A rating on the scale of the data, at a step of it, 1 for events; null if it is not on its own scale. */
function starsFrom(text, { low, top }, scale) {
  const value = text === "" ? NaN : Number(text);
  const [least, most] = top === undefined ? [scale?.least ?? 0, scale?.most ?? Infinity] : [low, top];
  if (!(value >= least && value <= most)) return null;
  if (top === undefined) return value;
  if (!scale) return 1;
  const zero = Math.min(scale.least, 0), own = Math.max(zero + (value / top) * (scale.most - zero), scale.least);
  return scale.step ? Math.min(scale.least + Math.floor((own - scale.least) / scale.step + 0.5) * scale.step, scale.most) : own;
}

/** Seconds since 1970 of a number of them, or of a date; 0 if there is none, null if it is too large or below 0. */
function secondsFrom(text, { whose }) {
  if (whose !== "GroupLens") return /^\d{4}-\d\d-\d\d$/.test(text) ? Math.max(Date.parse(text) / 1000 || 0, 0) : 0;
  const seconds = Number(text) || 0;
  return seconds >= 0 && seconds <= LAST_SECOND ? seconds : null;
}

/** Finds movies by their id in the data, by IMDb's, or by title and year. */
class Finder {
  constructor({ movies, places }) {
    Object.assign(this, { movies, ids: places.movie, imdb: new Map(), titles: new Map() });
    const add = (map, key, place) => map.get(key)?.push(place) ?? map.set(key, [place]);
    movies.titles.forEach((title, place) => {
      if (movies.imdb[place]) add(this.imdb, Number(movies.imdb[place]), place);
      const keys = new Set(namesOf(title).map((name) => `${searchable(name)} ${movies.years[place]}`));
      if (movies.years[place] !== null) keys.forEach((key) => add(this.titles, key, place));
    });
  }

  /** [place or null, why not], `field` giving the texts of a row by their kind. */
  find(field) {
    if (field("id")) return [this.ids.get(field("id")) ?? null, "no movie here has this id"];
    const digits = field("imdb").replace(/^tt/i, ""), imdb = /^\d{1,12}$/.test(digits) ? Number(digits) : null, same = this.imdb.get(imdb) ?? [];
    if (same.length === 1) return [same[0], ""];
    if (same.length) return [null, `${same.length} movies have this IMDb id`];
    const named = field("title") ? this.titles.get(`${searchable(field("title"))} ${field("year")}`) ?? [] : [];
    const hits = imdb !== null ? named.filter((place) => !this.movies.imdb[place]) : named; // another IMDb id is another film
    if (hits.length === 1) return [hits[0], ""];
    return [null, hits.length ? `${hits.length} movies have this title and year` : "not among the movies here"];
  }
}

/** A title, and its parts: what is before brackets, and what is in them. */
function namesOf(title) {
  const inside = [...title.matchAll(/\(([^()]+)\)/g)].map(([, name]) => name.replace(/^a\.k\.a\. /, ""));
  return [title, title.replace(/\s*\([^()]*\)/g, ""), ...inside];
}
