// Serves Cosmos DB's protocol on a free port of this machine, without TLS, and prints the port. It ends with its input.
const library = "@vercel/cosmosdb-server/lib";

// The server reads a field of the document that a point read asked for before it looks whether there is one, and so
// answers 500 where the service answers 404.
const pointRead = require(`${library}/handler/read-document`);
const readDocument = pointRead.default;
pointRead.default = (account, request, response, names) => {
  const collection = account.database(names.dbId).collection(names.collId);
  const [partition] = JSON.parse(request.headers["x-ms-documentdb-partitionkey"] || "[]");
  if (collection.read() && partition !== undefined && !collection.document(names.docId, partition).read()) {
    response.statusCode = 404;
    return { code: "NotFound", message: "there is no such document" };
  }
  return readDocument(account, request, response, names);
};

const { createHttpServer } = require("@vercel/cosmosdb-server");
const server = createHttpServer({ keepAlive: true }).listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit(0));
