"""The bundled PostgreSQL and Valkey: started, watched and stopped under the data folder."""
