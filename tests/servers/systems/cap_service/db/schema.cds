using { managed, cuid } from '@sap/cds/common';
namespace maint;

entity Assets : managed {
  key ID     : String(20);
      name   : String(100) @mandatory;
      status : String(10) @assert.range enum { active; scrapped; };
}

entity Parts : managed {
  key ID     : String(20);
      name   : String(100);
      onHand : Integer @assert.range: [0, 100000];
      price  : Decimal(12,2);
}

entity WorkOrders : cuid, managed {
  number : String(20);
  title  : String(100) @mandatory;
  status : String(10) default 'open';
  dueAt  : Timestamp;
  asset  : Association to Assets @assert.target;
  lines  : Composition of many Lines on lines.parent = $self;
}

entity Lines : cuid, managed {
  parent : Association to WorkOrders;
  pos    : Integer;
  part   : Association to Parts @assert.target;
  qty    : Decimal(9,3) @mandatory;
}
