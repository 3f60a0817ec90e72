using { maint as m } from '../db/schema';

@requires: 'authenticated-user'
service MaintenanceService @(path: '/odata/v4/maint') {
  @restrict: [{ grant: 'READ' }, { grant: '*', to: 'writer' }]
  @cds.query.limit: { default: 100, max: 1000 }
  entity Assets as projection on m.Assets;

  @restrict: [{ grant: 'READ' }, { grant: '*', to: 'writer' }]
  @cds.query.limit: { default: 100, max: 1000 }
  entity Parts as projection on m.Parts;

  @restrict: [{ grant: 'READ' }, { grant: '*', to: 'writer' }]
  @cds.query.limit: { default: 100, max: 1000 }
  entity WorkOrders as projection on m.WorkOrders;
}

annotate MaintenanceService.WorkOrders with { modifiedAt @odata.etag };
annotate MaintenanceService.Assets with { modifiedAt @odata.etag };
